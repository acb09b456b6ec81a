"""Other people's tools read what we write."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from buildtool.graph.model import History, Image, ImageConfig, Platform
from buildtool.oci.archive import write_archive
from buildtool.oci.bring import bring
from buildtool.oci.convert import assemble
from buildtool.oci.export import Export, write_layout
from buildtool.oci.layout import open_layout
from buildtool.oci.model import MANIFEST
from buildtool.oci.validate import validate
from buildtool.store import Store
from tests.support.archive_file import write_archive_file

LINUX = Platform("linux", "amd64")
NAME = "docker.io/library/app:1.0"


def tool(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def export(store: Store, hello: Any, world: Any) -> Export:
    config = ImageConfig(
        env=(("PATH", "/bin"),), cmd=("sh",), labels=(("k", "v"),), exposed_ports=("80/tcp",), user="0"
    )
    image = Image(
        None, config, LINUX, 315532800, (History("a"), History("b"), History("c", empty_layer=True))
    )
    manifest, document = assemble(image, (hello, world))
    for data in (document, hello.data, world.data):
        store.blobs.put(data)
    return Export(store.blobs.put(manifest), len(manifest), MANIFEST, (NAME,), LINUX)


def test_skopeo_inspects_a_layout(tmp_path: Path, store: Store, export: Export) -> None:
    write_layout(str(tmp_path / "out"), [export], store.blobs)
    seen = json.loads(tool("skopeo", "inspect", f"oci:{tmp_path}/out:1.0"))
    assert seen["Digest"] == export.digest
    assert (seen["Created"], seen["Labels"]) == ("1980-01-01T00:00:00Z", {"k": "v"})
    assert len(seen["Layers"]) == 2


def test_skopeo_inspects_the_store(store: Store, export: Export) -> None:
    store.results.set_ref("app:1.0", export.digest)
    store.results.set_ref(NAME, export.digest)
    for name in ("app:1.0", NAME):
        seen = tool("skopeo", "inspect", "--format", "{{.Digest}}", f"oci:{store.path}:{name}")
        assert seen.strip() == export.digest


def test_skopeo_copies_an_archive(tmp_path: Path, store: Store, export: Export) -> None:
    write_archive_file(str(tmp_path / "a.tar"), [export], store.blobs)
    tool("skopeo", "copy", "-q", f"oci-archive:{tmp_path}/a.tar:1.0", f"dir:{tmp_path}/copy")
    assert (tmp_path / "copy/manifest.json").read_bytes() == store.blobs.read(export.digest, 1 << 20)


def test_skopeo_reads_a_docker_archive(
    tmp_path: Path, store: Store, export: Export, hello: Any, world: Any
) -> None:
    write_archive_file(str(tmp_path / "d.tar"), [export], store.blobs, docker=True)
    tool("skopeo", "copy", "-q", f"docker-archive:{tmp_path}/d.tar:{NAME}", f"oci:{tmp_path}/copy:x")
    seen = json.loads(tool("skopeo", "inspect", "--config", f"oci:{tmp_path}/copy:x"))
    assert seen["rootfs"]["diff_ids"] == [hello.diff_id, world.diff_id]
    assert seen["config"]["Cmd"] == ["sh"]


@pytest.mark.parametrize("rootless", [[], ["--rootless"]])
def test_umoci_unpacks_a_layout(tmp_path: Path, store: Store, export: Export, rootless: list[str]) -> None:
    write_layout(str(tmp_path / "out"), [export], store.blobs)
    tool("umoci", "unpack", *rootless, "--image", f"{tmp_path}/out:1.0", f"{tmp_path}/bundle")
    assert (tmp_path / "bundle/rootfs/hello").read_text() == "hello\n"
    assert (tmp_path / "bundle/rootfs/etc/world").read_text() == "world\n" * 5000
    assert (tmp_path / "bundle/config.json").exists()


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_archives_of_skopeo_are_brought(form: str, tmp_path: Path, store: Store, export: Export) -> None:
    write_layout(str(tmp_path / "out"), [export], store.blobs)
    tool("skopeo", "copy", "-q", f"oci:{tmp_path}/out:1.0", f"{form}:{tmp_path}/x.tar:{NAME}")
    layout = open_layout(str(tmp_path / "x.tar"))
    assert validate(layout) == []
    (image,) = bring(layout, store.blobs, LINUX)
    assert image.names == (NAME,)
    if form == "oci-archive":
        assert image.digest == export.digest
    config = json.loads(store.blobs.read(export.digest, 1 << 20))["config"]["digest"]
    assert json.loads(store.blobs.read(image.digest, 1 << 20))["config"]["digest"] == config


def test_buildah_takes_our_archive_and_we_take_its(tmp_path: Path, store: Store, export: Export) -> None:
    where = ("--root", f"{tmp_path}/root", "--runroot", f"{tmp_path}/run", "--storage-driver", "vfs")
    with open(tmp_path / "ours.tar", "wb") as out:
        write_archive(out, [export], store.blobs, docker=True)
    config = json.loads(store.blobs.read(export.digest, 1 << 20))["config"]["digest"]
    # The id of an image is the digest of its config.
    assert tool("buildah", *where, "pull", "-q", f"docker-archive:{tmp_path}/ours.tar").strip() == config[7:]
    tool("buildah", *where, "push", "-q", NAME, f"docker-archive:{tmp_path}/theirs.tar:{NAME}")
    layout = open_layout(str(tmp_path / "theirs.tar"))
    assert validate(layout) == []
    (image,) = bring(layout, store.blobs, LINUX)
    assert image.names == (NAME,)
    assert json.loads(store.blobs.read(image.digest, 1 << 20))["config"]["digest"] == config
