"""Archives of `docker save`, seen as layouts: of any age, and hostile ones."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.graph.model import Platform
from buildtool.oci.bring import bring
from buildtool.oci.layout import open_layout
from buildtool.oci.validate import validate
from buildtool.store import Store
from tests.unit.oci.conftest import LayoutFolder, TinyLayer, tiny_layer

LINUX = Platform("linux", "amd64")


class Archive:
    """A tar archive, written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def file(self, name: str, data: bytes | Any) -> "Archive":
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def link(self, name: str, target: str) -> "Archive":
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self.tar.addfile(info)
        return self

    def done(self) -> str:
        self.tar.close()
        return str(self.path)


def raw(layer: TinyLayer) -> bytes:
    return gzip.decompress(layer.data)


def config_of(layers: Sequence[TinyLayer]) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "container": "x"}).encode()


def old_style(path: Path, layers: Sequence[TinyLayer], tags: list[str] | None, **rows: Any) -> str:
    """As Docker 1.10 to 24 write it: a folder a layer, the config beside them."""
    archive = Archive(path)
    config = config_of(layers)
    names = [f"{hashlib.sha256(layer.diff_id.encode()).hexdigest()}/layer.tar" for layer in layers]
    for name, layer in zip(names, layers, strict=True):
        archive.file(name, raw(layer))
    row = {"Config": f"{sha256(config)[7:]}.json", "RepoTags": tags, "Layers": names} | rows
    archive.file(f"{sha256(config)[7:]}.json", config).file("manifest.json", [row])
    return archive.done()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


def test_layers_in_folders(tmp_path: Path, store: Store) -> None:
    layers = [tiny_layer({"a": b"1"}), tiny_layer({"b": b"2"})]
    path = old_style(tmp_path / "x.tar", layers, ["app:1", "example.com/app:2"])
    layout = open_layout(path)
    assert validate(layout) == []
    (image,) = bring(layout, store.blobs, LINUX)
    assert image.names == ("app:1", "example.com/app:2")
    manifest = json.loads(store.blobs.read(image.digest, 1 << 20))
    # The image keeps its id, and a plain layer is its own diff id.
    assert manifest["config"]["digest"] == sha256(config_of(layers))
    assert [layer["digest"] for layer in manifest["layers"]] == [layer.diff_id for layer in layers]
    assert all(store.blobs.has(layer.diff_id) for layer in layers)


def test_a_layer_that_is_a_link_to_another(tmp_path: Path, store: Store) -> None:
    layer = tiny_layer({"a": b"1"})
    config = config_of([layer, layer])
    row = {"Config": "c.json", "RepoTags": None, "Layers": ["one/layer.tar", "two/layer.tar"]}
    archive = (
        Archive(tmp_path / "x.tar")
        .file("one/layer.tar", raw(layer))
        .link("two/layer.tar", "../one/layer.tar")
    )
    path = archive.file("c.json", config).file("manifest.json", [row]).done()
    (image,) = bring(open_layout(path), store.blobs, LINUX)
    assert image.names == ()
    assert len(json.loads(store.blobs.read(image.digest, 1 << 20))["layers"]) == 2


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "link", "nowhere"])
def test_a_link_leads_nowhere_else(target: str, tmp_path: Path) -> None:
    layer = tiny_layer({"a": b"1"})
    row = {"Config": "c.json", "Layers": ["link"]}
    archive = Archive(tmp_path / "x.tar").link("link", target).file("c.json", config_of([layer]))
    with pytest.raises(BuildError, match="which it does not hold") as caught:
        open_layout(archive.file("manifest.json", [row]).done())
    assert caught.value.code == "bad-layout"


def test_compressed_layers(tmp_path: Path, store: Store) -> None:
    layer = tiny_layer({"a": b"1"})
    row = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l"]}
    archive = Archive(tmp_path / "x.tar").file("l", layer.data).file("c.json", config_of([layer]))
    layout = open_layout(archive.file("manifest.json", [row]).done())
    assert validate(layout) == []
    (image,) = bring(layout, store.blobs, LINUX)
    (found,) = json.loads(store.blobs.read(image.digest, 1 << 20))["layers"]
    assert found == {"digest": layer.digest, "mediaType": layer.media_type, "size": layer.size}


def test_a_layer_with_other_bytes_is_not_kept(tmp_path: Path, store: Store) -> None:
    layer, other = tiny_layer({"a": b"1"}), tiny_layer({"a": b"2"})
    row = {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l"]}
    archive = Archive(tmp_path / "x.tar").file("l", raw(other)).file("c.json", config_of([layer]))
    with pytest.raises(BuildError) as caught:
        bring(open_layout(archive.file("manifest.json", [row]).done()), store.blobs, LINUX)
    assert caught.value.code == "corrupt-blob"
    assert not store.blobs.has(layer.diff_id)
    assert not store.blobs.has(sha256(raw(other)))


@pytest.mark.parametrize(
    ("manifest", "config", "code"),
    [
        (b"[", None, "bad-document"),
        (b"{}", None, "bad-document"),
        (b"[" * 100_000, None, "bad-document"),
        ([{"Config": "nowhere", "Layers": []}], None, "bad-layout"),
        ([{"Config": "c.json", "Layers": []}], b"{", "bad-document"),
        ([{"Config": "c.json", "Layers": []}], b" " * (5 << 20), "bad-document"),
        ([{"Config": "c.json", "Layers": ["c.json"]}], None, "bad-document"),
        (
            [{"Config": "c.json", "Layers": ["c.json"]}],
            {"architecture": "a", "os": "l", "rootfs": {"type": "layers", "diff_ids": ["sha256:../x"]}},
            "bad-digest",
        ),
        ([{"Config": "c.json", "Layers": ["../../etc/passwd"]}], config_of([tiny_layer({})]), "bad-layout"),
    ],
)
def test_hostile_documents(manifest: Any, config: Any, code: str, tmp_path: Path) -> None:
    archive = (
        Archive(tmp_path / "x.tar").file("c.json", config or config_of([])).file("manifest.json", manifest)
    )
    with pytest.raises(BuildError) as caught:
        open_layout(archive.done())
    assert caught.value.code == code


def test_an_index_that_is_not_whole_becomes_one_image(
    folder: LayoutFolder, hello: TinyLayer, store: Store
) -> None:
    arm = Platform("linux", "arm64")
    images = [folder.image(layers=(hello,), platform=p, listed=False) for p in (LINUX, arm)]
    platforms = [{"os": p.os, "architecture": p.architecture} for p in (LINUX, arm)]
    kind = "application/vnd.oci.image.manifest.v1+json"
    entries = [
        {"mediaType": kind, "digest": d, "size": s, "platform": p}
        for (d, s), p in zip(images, platforms, strict=True)
    ]
    index_kind = "application/vnd.oci.image.index.v1+json"
    index = folder.blob({"schemaVersion": 2, "mediaType": index_kind, "manifests": entries})
    folder.name(*index, "app:1", index_kind)
    layout = open_layout(str(folder.path))
    (whole,) = bring(layout, store.blobs, LINUX)
    assert (whole.digest, whole.partial) == (index[0], False)
    (one,) = bring(layout, store.blobs, arm, only_one=True)
    assert (one.digest, one.partial) == (images[1][0], False)
    folder.at(images[0][0]).unlink()
    (left,) = bring(layout, store.blobs, LINUX)
    assert (left.digest, left.partial) == (images[1][0], True)
    folder.at(images[1][0]).unlink()
    with pytest.raises(BuildError) as caught:
        bring(layout, store.blobs, LINUX)
    assert caught.value.code == "no-such-platform"


def test_no_image(folder: LayoutFolder, store: Store) -> None:
    with pytest.raises(BuildError) as caught:
        bring(open_layout(str(folder.path)), store.blobs, LINUX)
    assert caught.value.code == "no-such-image"
