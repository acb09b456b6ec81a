"""Outputs: layout folders, archives, archives for docker load; all told by their content alone."""

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.graph.model import History, Image, ImageConfig, Platform
from buildtool.oci.archive import ArchiveFiles, _header, write_archive
from buildtool.oci.convert import assemble, assemble_index
from buildtool.oci.export import Export, tag_of, write_layout
from buildtool.oci.layout import open_layout
from buildtool.oci.model import IMAGE_NAME, INDEX, LAYER, MANIFEST, REF_NAME
from buildtool.oci.validate import validate
from buildtool.store import Store
from tests.support.archive_file import write_archive_file

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")


def build(store: Store, layers: tuple[Any, ...], names: tuple[str, ...] = (), **config: Any) -> Export:
    """An image among the blobs of a store."""
    platform = config.pop("platform", LINUX)
    history = tuple(History(f"layer {n}") for n in range(len(layers)))
    image = Image(None, ImageConfig(**config), platform, 0, history)
    manifest, document = assemble(image, layers)
    for data in (document, *(layer.data for layer in layers)):
        store.blobs.put(data)
    return Export(store.blobs.put(manifest), len(manifest), MANIFEST, names, platform)


def several(store: Store, layers: tuple[Any, ...], names: tuple[str, ...]) -> Export:
    class Finished:
        def __init__(self, export: Export) -> None:
            assert export.platform is not None
            self.manifest, self.manifest_size, self.platform = export.digest, export.size, export.platform

    images = [Finished(build(store, layers, platform=p)) for p in (LINUX, ARM)]
    data = assemble_index(images)
    return Export(store.blobs.put(data), len(data), INDEX, names)


def archived(store: Store, *exports: Export, docker: bool = False) -> bytes:
    sink = io.BytesIO()
    write_archive(sink, exports, store.blobs, docker=docker)
    return sink.getvalue()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(BuildError) as error:
        act()
    return error.value.code


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("app", "latest"),
        ("app:1.0", "1.0"),
        ("docker.io/library/app:1.0", "1.0"),
        ("localhost:5000/app", "latest"),
        ("localhost:5000/app:x", "x"),
    ],
)
def test_the_tag_of_a_name(name: str, tag: str) -> None:
    assert tag_of(name) == tag


# ---------------------------------------------------------------- folders


def test_a_layout_folder_is_sound_and_named(tmp_path: Path, store: Store, hello: Any, world: Any) -> None:
    export = build(store, (hello, world), ("docker.io/library/app:1.0", "app:2.0"))
    write_layout(str(tmp_path / "out"), [export], store.blobs)
    layout = open_layout(str(tmp_path / "out"))
    assert validate(layout) == []
    assert [entry.annotations for entry in layout.index().manifests] == [
        {IMAGE_NAME: "app:2.0", REF_NAME: "2.0"},
        {IMAGE_NAME: "docker.io/library/app:1.0", REF_NAME: "1.0"},
    ]
    assert layout.tags() == ["1.0", "2.0"]
    assert layout.resolve("1.0", None, LINUX).digest == export.digest
    assert len(layout.files.blobs()) == 4


def test_a_layout_is_added_to(tmp_path: Path, store: Store, hello: Any, world: Any) -> None:
    out = str(tmp_path / "out")
    first = build(store, (hello,), ("app:1",))
    other = build(store, (world,), ("other:x",))
    second = build(store, (hello, world), ("app:1",))
    for export in (first, other, second):
        write_layout(out, [export], store.blobs)
    layout = open_layout(out)
    assert validate(layout) == []
    assert layout.resolve("1", None, LINUX).digest == second.digest
    assert layout.resolve("x", None, LINUX).digest == other.digest
    assert len(layout.index().manifests) == 2


def test_nameless_builds_take_turns(tmp_path: Path, store: Store, hello: Any, world: Any) -> None:
    out = str(tmp_path / "out")
    for layers in ((hello,), (world,)):
        export = build(store, layers)
        write_layout(out, [export], store.blobs)
    assert [entry.digest for entry in open_layout(out).index().manifests] == [export.digest]


def test_a_damaged_blob_in_the_folder_is_replaced(tmp_path: Path, store: Store, hello: Any) -> None:
    out = tmp_path / "out"
    export = build(store, (hello,), ("app",))
    write_layout(str(out), [export], store.blobs)
    (out / "blobs/sha256" / hello.digest[7:]).write_bytes(b"damaged")
    assert validate(open_layout(str(out))) != []
    write_layout(str(out), [export], store.blobs)
    assert validate(open_layout(str(out))) == []


def test_several_platforms_under_one_name(tmp_path: Path, store: Store, hello: Any) -> None:
    write_layout(str(tmp_path / "out"), [several(store, (hello,), ("app",))], store.blobs)
    layout = open_layout(str(tmp_path / "out"))
    assert validate(layout) == []
    assert layout.resolve("", None, LINUX).digest != layout.resolve("", None, ARM).digest


def test_a_damaged_store_gives_no_layout(tmp_path: Path, store: Store, world: Any) -> None:
    export = build(store, (world,), ("app",))
    Path(store.blobs.path(world.digest)).write_bytes(b"damaged")
    assert code_of(lambda: write_layout(str(tmp_path / "out"), [export], store.blobs)) == "corrupt-blob"
    assert not (tmp_path / "out/index.json").exists()
    assert code_of(lambda: write_layout(str(tmp_path / "out"), [export], store.blobs)) == "missing-blob"


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, store: Store, hello: Any) -> None:
    (tmp_path / "photo.jpg").write_text("")
    export = build(store, (hello,))
    assert code_of(lambda: write_layout(str(tmp_path), [export], store.blobs)) == "bad-layout"
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file/below")
    assert code_of(lambda: write_layout(path, [export], store.blobs)) == "output-failed"


# ---------------------------------------------------------------- archives


def listing(data: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        rows = [
            f"{m.offset:7} {m.type.decode()} {m.mode:04o} {m.uid}:{m.gid} {m.mtime} {m.size:6} {m.name}"
            for m in tar
        ]
    return "\n".join([f"sha256 {hashlib.sha256(data).hexdigest()}, {len(data)} bytes", *rows, ""])


def stored(text: str) -> SimpleNamespace:
    """A layer that no compressor has a hand in, so that goldens do not depend on one."""
    data = text.encode() * 512 + bytes(1024)
    digest = sha256(data)
    return SimpleNamespace(digest=digest, diff_id=digest, size=len(data), media_type=LAYER, data=data)


@pytest.mark.parametrize("docker", [False, True])
def test_the_bytes_of_an_archive(
    store: Store, golden: Callable[[str, str | bytes], None], docker: bool
) -> None:
    export = build(store, (stored("x"),), ("docker.io/library/app:1.0", "app"), cmd=("sh",))
    golden(
        f"oci/archive-{'docker' if docker else 'oci'}.txt", listing(archived(store, export, docker=docker))
    )


def test_an_archive_is_a_sound_layout(tmp_path: Path, store: Store, hello: Any, world: Any) -> None:
    path = str(tmp_path / "a.tar")
    write_archive_file(path, [several(store, (hello, world), ("app:1",))], store.blobs)
    layout = open_layout(path)
    assert validate(layout) == []
    assert layout.tags() == ["1"]
    assert os.listdir(tmp_path).count("a.tar") == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith("a.tar.")]


def test_order_of_names_and_umask_do_not_matter(tmp_path: Path, store: Store, hello: Any) -> None:
    export = build(store, (hello,), ("b", "a"))
    before = os.umask(0o077)
    try:
        first = archived(store, export)
    finally:
        os.umask(before)
    assert first == archived(store, replace(export, names=("a", "b")))


def test_what_docker_load_reads(store: Store, hello: Any, world: Any) -> None:
    data = archived(store, build(store, (hello, world), ("app", "r:5000/app:1")), docker=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        (row,) = json.load(member)
        assert row["RepoTags"] == ["app:latest", "r:5000/app:1"]
        assert [path[-64:] for path in row["Layers"]] == [hello.digest[7:], world.digest[7:]]
        assert set(row["Layers"] + [row["Config"]]) <= set(tar.getnames())


def test_docker_load_takes_one_platform(store: Store, hello: Any) -> None:
    export = several(store, (hello,), ("app",))
    assert code_of(lambda: archived(store, export, docker=True)) == "docker-needs-one-platform"


def test_a_failed_archive_leaves_nothing(tmp_path: Path, store: Store, world: Any) -> None:
    export = build(store, (world,), ("app",))
    path = tmp_path / "a.tar"
    path.write_text("what was there before")
    Path(store.blobs.path(world.digest)).write_bytes(b"damaged")
    assert code_of(lambda: write_archive_file(str(path), [export], store.blobs)) == "corrupt-blob"
    assert path.read_text() == "what was there before"
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "store"]
    missing = str(tmp_path / "no/such/folder.tar")
    other = build(store, ())
    assert code_of(lambda: write_archive_file(missing, [other], store.blobs)) == "output-failed"


def test_an_archive_can_go_through_a_pipe(tmp_path: Path, store: Store, hello: Any) -> None:
    export = build(store, (hello,))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_archive_file(str(pipe), [export], store.blobs)
    reader.join()
    assert found == [archived(store, export)]


def test_sizes_above_eight_gibibytes(tmp_path: Path) -> None:
    size = 9 << 30
    path = tmp_path / "big.tar"
    with open(path, "wb") as file:
        file.write(_header("blobs/sha256/big", size, b"0", 0o644))
        file.truncate(file.tell() + size)
    with tarfile.open(path) as tar:
        assert [(m.name, m.size) for m in tar] == [("blobs/sha256/big", size)]
    opened, found = ArchiveFiles(str(path)).open("blobs/sha256/big")
    opened.close()
    assert found == size
