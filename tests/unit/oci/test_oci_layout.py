"""Layouts of others: finding images, verified reading, copying blobs."""

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Image, ImageSource, Platform
from buildtool.oci.layout import copy_blob, open_layout
from buildtool.oci.model import INDEX, MANIFEST
from buildtool.oci.platforms import fit
from buildtool.oci.reference import LayoutReference
from buildtool.oci.source import base_image, layout_of
from buildtool.store import Store

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")


def resolve(folder: Any, tag: str = "", digest: str | None = None, platform: Platform = LINUX) -> Digest:
    layout = open_layout(str(folder.path))
    return layout.resolve(tag, Digest(digest) if digest else None, platform).digest


def code_of(act: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(BuildError) as error:
        act(*arguments, **named)
    return error.value.code


def base(folder: Any, tag: str = "", platform: Platform = LINUX) -> Image:
    return base_image(LayoutReference(str(folder.path), tag), platform)


# ---------------------------------------------------------------- finding


def test_the_only_image_needs_no_name(folder: Any) -> None:
    one, _ = folder.image("odd-name")
    assert resolve(folder) == one


def test_latest_is_the_default_of_several(folder: Any) -> None:
    first, _ = folder.image("first", author="1")
    latest, _ = folder.image("docker.io/library/app:latest", author="2")
    assert resolve(folder) == latest
    assert resolve(folder, "first") == first
    assert resolve(folder, "latest") == latest
    assert resolve(folder, "latest", first) == first
    with pytest.raises(BuildError) as error:
        resolve(folder, "second")
    assert error.value.code == "no-such-image"
    assert error.value.hint == "it has docker.io/library/app:latest, first"


def test_an_image_can_be_had_by_digest_alone(folder: Any) -> None:
    folder.image("listed", author="1")
    hidden, _ = folder.image(listed=False, author="2")
    assert resolve(folder, "", hidden) == hidden
    assert code_of(resolve, folder, "", "sha256:" + "0" * 64) == "no-such-image"


def test_the_platform_chooses_among_the_images_of_an_index(folder: Any) -> None:
    amd, amd_size = folder.image(listed=False)
    arm, arm_size = folder.image(listed=False, platform=ARM)
    attest, attest_size = folder.blob({"schemaVersion": 2, "layers": [], "config": {}})
    inner = folder.blob(
        {
            "schemaVersion": 2,
            "manifests": [
                {"mediaType": MANIFEST, "digest": amd, "size": amd_size},
                {
                    "mediaType": MANIFEST,
                    "digest": attest,
                    "size": attest_size,
                    "platform": {"os": "unknown", "architecture": "unknown"},
                },
                {
                    "mediaType": MANIFEST,
                    "digest": arm,
                    "size": arm_size,
                    "platform": {"os": "linux", "architecture": "arm64", "os.version": "x"},
                },
            ],
        }
    )
    folder.name(*inner, "app", INDEX)
    assert resolve(folder, "app") == amd
    assert resolve(folder, "app", platform=ARM) == arm
    with pytest.raises(BuildError) as error:
        resolve(folder, "app", platform=Platform("linux", "s390x"))
    assert error.value.code == "no-such-platform"
    assert error.value.hint == "it has linux/amd64, linux/arm64"


def test_indexes_without_an_end_are_refused(folder: Any) -> None:
    digest, size = folder.image(listed=False)
    kind = MANIFEST
    for _ in range(8):
        digest, size = folder.blob(
            {"schemaVersion": 2, "manifests": [{"mediaType": kind, "digest": digest, "size": size}]}
        )
        kind = INDEX
    folder.name(digest, size, "app", INDEX)
    assert code_of(resolve, folder, "app") == "bad-document"


@pytest.mark.parametrize(
    ("wanted", "there", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/odd/x", "linux/odd/x", True),
        ("linux/odd/x", "linux/odd/y", False),
        ("linux/odd/x", "linux/odd/v99999999999999999999", False),
    ],
)
def test_which_platforms_fit(wanted: str, there: str, fits: bool) -> None:
    assert bool(fit(Platform(*wanted.split("/")), Platform(*there.split("/")))) == fits


def test_the_nearest_variant_is_taken(folder: Any) -> None:
    six, _ = folder.image("app", platform=Platform("linux", "arm", "v6"))
    seven, _ = folder.image("app", platform=Platform("linux", "arm", "v7"))
    assert resolve(folder, "app", platform=Platform("linux", "arm")) == seven
    assert resolve(folder, "app", platform=Platform("linux", "arm", "v6")) == six


# ---------------------------------------------------------------- sources of the graph


def test_a_base_image_becomes_a_step(folder: Any, hello: Any, world: Any) -> None:
    manifest, _ = folder.image("app", (hello, world), created="2021-01-01T00:00:00Z", config={"User": "x"})
    image = base(folder, "app")
    source = image.rootfs
    assert isinstance(source, ImageSource)
    assert source.manifest == manifest
    assert [(layer.diff_id, layer.digest) for layer in source.layers] == [
        (hello.diff_id, hello.digest),
        (world.diff_id, world.digest),
    ]
    assert source.location == f"oci-layout:{folder.path}"
    assert source.reference == f"oci-layout://{folder.path}:app"
    assert (image.created, image.config.user, len(image.history)) == (1609459200, "x", 2)
    assert layout_of(source.location).name == str(folder.path)
    assert code_of(layout_of, "registry:x") == "bad-layout"


def test_a_relative_path_is_kept_absolute(folder: Any, hello: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.image("app", (hello,))
    monkeypatch.chdir(folder.path.parent)
    image = base_image(LayoutReference("layout"), LINUX)
    assert isinstance(image.rootfs, ImageSource)
    assert image.rootfs.location == f"oci-layout:{folder.path}"


def test_an_image_without_layers_has_no_root(folder: Any) -> None:
    folder.image("app")
    assert base(folder).rootfs is None


def test_an_image_that_contradicts_itself_is_refused(folder: Any, hello: Any) -> None:
    folder.image("app", (hello,), rootfs={"type": "layers", "diff_ids": []})
    assert code_of(base, folder) == "bad-document"


# ---------------------------------------------------------------- what is not believed


@pytest.mark.parametrize("part", ["manifest", "config"])
@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "missing", "fifo"])
def test_damaged_documents_are_told(folder: Any, hello: Any, part: str, how: str) -> None:
    manifest, _ = folder.image("app", (hello,))
    layout = open_layout(str(folder.path))
    digest = manifest
    if part == "config":
        found = layout.manifest(layout.resolve("", None, LINUX))
        digest = found.config.digest  # type: ignore[union-attr]
    damage(folder.at(digest), how)
    with pytest.raises(BuildError) as error:
        base(folder)
    assert error.value.code == ("missing-blob" if how in ("missing", "fifo") else "corrupt-blob")
    assert digest in error.value.message
    assert str(folder.path) in error.value.message


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if how == "flipped":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "cut":
        path.write_bytes(data[:-1])
    elif how == "longer":
        path.write_bytes(data + b" ")
    elif how == "fifo":
        os.mkfifo(path)


@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "missing", "fifo"])
def test_a_damaged_layer_never_comes_into_the_store(folder: Any, store: Store, world: Any, how: str) -> None:
    folder.image("app", (world,))
    damage(folder.at(world.digest), how)
    with pytest.raises(BuildError) as error:
        copy_blob(open_layout(str(folder.path)), world.digest, store.blobs, lambda done, total: None)
    assert error.value.code == ("missing-blob" if how in ("missing", "fifo") else "corrupt-blob")
    assert world.digest in error.value.message
    assert str(folder.path) in error.value.message
    assert not store.blobs.has(world.digest)
    assert all(not names for _, _, names in os.walk(store.tmp))


def test_a_layer_is_copied(folder: Any, store: Store, world: Any) -> None:
    folder.image("app", (world,))
    heard: list[tuple[int, int | None]] = []
    layout = open_layout(str(folder.path))
    copy_blob(layout, world.digest, store.blobs, lambda done, total: heard.append((done, total)))
    assert store.blobs.read(world.digest, 1 << 20) == world.data
    assert heard == [(world.size, world.size)]


def test_a_digest_is_never_a_path(folder: Any, store: Store) -> None:
    layout = open_layout(str(folder.path))
    assert (
        code_of(copy_blob, layout, Digest("sha256:../../../etc/passwd"), store.blobs, print) == "bad-digest"
    )


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("oci-layout", None, "bad-layout"),
        ("oci-layout", b"{}", "bad-document"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "bad-layout"),
        ("index.json", None, "bad-layout"),
        ("index.json", b"", "bad-document"),
        ("index.json", b'{"schemaVersion":2,"manifests":[],"layers":[]}', "ambiguous-manifest"),
        ("index.json", b'{"schemaVersion":2,"layers":[],"config":{}}', "ambiguous-manifest"),
    ],
)
def test_what_is_no_layout(folder: Any, name: str, data: bytes | None, code: str) -> None:
    (folder.path / name).unlink()
    if data is not None:
        (folder.path / name).write_bytes(data)
    assert code_of(resolve, folder) == code


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert code_of(open_layout, str(tmp_path / "nothing")) == "bad-layout"
    os.mkfifo(tmp_path / "fifo")
    assert code_of(open_layout, str(tmp_path / "fifo")) == "bad-layout"


# ---------------------------------------------------------------- archives


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_an_archive_of_a_layout_is_a_layout(
    folder: Any, store: Store, world: Any, form: int, prefix: str
) -> None:
    digest, _ = folder.image("app", (world,))
    archive = folder.path.parent / "a.tar"
    with tarfile.open(archive, "w", format=form) as tar:
        for path in sorted(folder.path.rglob("*")):
            info = tar.gettarinfo(path, prefix + str(path.relative_to(folder.path)))
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            with path.open("rb") if path.is_file() else open(os.devnull, "rb") as file:
                tar.addfile(info, file)
    layout = open_layout(str(archive))
    assert layout.resolve("app", None, LINUX).digest == digest
    copy_blob(layout, world.digest, store.blobs, lambda done, total: None)
    assert store.blobs.read(world.digest, 1 << 20) == world.data
    assert layout.files.blobs() == sorted(path.name for path in (folder.path / "blobs/sha256").iterdir())
    archive.write_bytes(archive.read_bytes()[:2000])
    assert code_of(open_layout, str(archive)) == "bad-layout"


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b" + b"x" * 600, b"x" * 5000, b"\0" * 5000])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    assert code_of(open_layout, str(tmp_path / "a.tar")) == "bad-layout"
