"""The executor on graphs of file operations: results, cache, early cutoff, healing, errors."""

import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from buildtool.diag import BuildError, Span, Warned
from buildtool.digest import Digest
from buildtool.executor.api import Advance, BuildOptions, Built
from buildtool.executor.progress import Finished, Progress, StepInfo
from buildtool.executor.run import Executor
from buildtool.graph.model import (
    CopyAction,
    FetchSource,
    FileOp,
    History,
    Image,
    ImageConfig,
    ImageSource,
    LiteralFile,
    LiteralSource,
    LocalSource,
    MakeFolderAction,
    MakeLinkAction,
    Origin,
    Owner,
    Platform,
    Step,
)
from buildtool.store import Store

EPOCH = 315532800
LINUX = Platform("linux", "amd64")


class Watch(Progress):
    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []
        self.warnings: list[str] = []

    def finished(self, step: StepInfo, how: Finished) -> None:
        if step.kind == "fileop":
            self.done.append((step.title, how.cached))

    def warned(self, warning: Warned) -> None:
        self.warnings.append(warning.code)


class Nowhere:
    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        raise BuildError("no-network", f"{step.name} cannot be had")

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        raise BuildError("no-network", f"{digest} cannot be had")


class Bench:
    """A store, and builds on it."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(str(path))
        self.watch = Watch()

    def build(self, rootfs: Step | None, **options: object) -> Built:
        self.watch = Watch()
        chosen = BuildOptions(**({"jobs": 2, "present": EPOCH} | options))  # type: ignore[arg-type]
        executor = Executor(self.store, Nowhere(), Nowhere(), self.watch, chosen)
        layers = 0
        below = rootfs
        while isinstance(below, FileOp):
            layers, below = layers + 1, below.base
        history = (History("step"),) * layers
        return executor.build([Image(rootfs, ImageConfig(), LINUX, EPOCH, history)])

    def names(self, built: Built) -> dict[str, tarfile.TarInfo]:
        found: dict[str, tarfile.TarInfo] = {}
        for layer in built.images[0].layers:
            data = self.store.blobs.read(layer.digest, 1 << 30)
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                found |= {m.name: m for m in tar}
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "src" / "lib").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "src" / "a.py").write_text("a\n")
    (folder / "src" / "lib" / "b.py").write_text("b\n")
    return folder


def local(folder: Path, *include: str) -> LocalSource:
    return LocalSource(include=include, folder=str(folder))


def copy(source: Step, paths: Sequence[str], dest: str, base: Step | None = None, **more: object) -> FileOp:
    action = CopyAction(source, tuple(paths), dest, **more)  # type: ignore[arg-type]
    return FileOp(base, (action,), EPOCH, origin=Origin(f"COPY {dest}", Span("Dockerfile", 3, 1)))


def test_an_image_without_layers(bench: Bench) -> None:
    assert bench.build(None).images[0].layers == ()


def test_files_get_the_epoch_root_and_their_modes(bench: Bench, context: Path) -> None:
    os.chmod(context / "app.py", 0o4750)
    found = bench.names(bench.build(copy(local(context, ""), [""], "/srv/app/")))
    assert list(found) == [
        "srv",
        "srv/app",
        "srv/app/app.py",
        "srv/app/src",
        "srv/app/src/a.py",
        "srv/app/src/lib",
        "srv/app/src/lib/b.py",
    ]
    app = found["srv/app/app.py"]
    assert (app.mode, app.uid, app.gid, app.mtime, app.uname) == (0o4750, 0, 0, EPOCH, "")
    assert {m.mtime for m in found.values()} == {EPOCH}


def test_a_second_build_takes_all_from_the_cache_and_a_changed_file_does_not(
    bench: Bench, context: Path
) -> None:
    graph = lambda: copy(local(context, ""), [""], "/app/")  # noqa: E731
    first = bench.build(graph())
    assert (first.executed, first.cached) == (1, 0)
    second = bench.build(graph())
    assert (second.executed, second.cached) == (0, 1)
    assert second.images == first.images
    (context / "app.py").write_text("print(2)\n")
    third = bench.build(graph())
    assert third.executed == 1
    assert third.images[0].manifest != first.images[0].manifest


def test_no_cache_carries_every_step_out_again_with_the_same_result(bench: Bench, context: Path) -> None:
    first = bench.build(copy(local(context, ""), [""], "/app/"))
    again = bench.build(copy(local(context, ""), [""], "/app/"), no_cache=True)
    assert again.executed == 1
    assert again.images == first.images


def test_a_change_that_changes_nothing_stops_there(bench: Bench, context: Path) -> None:
    """Early cutoff: the first layer is made again but comes out the same, so the second is not."""

    def graph(mode: str) -> FileOp:
        first = copy(local(context, "app.py"), ["app.py"], "/a/", mode=mode)
        return copy(local(context, "src"), ["src"], "/b/", base=first)

    bench.build(graph("755"))
    bench.build(graph("u=rwx,go=rx"))
    assert bench.watch.done == [("COPY /a/", False), ("COPY /b/", True)]


def test_the_number_of_jobs_changes_nothing(bench: Bench, context: Path) -> None:
    def graph() -> Step:
        stages = [copy(local(context, ""), [""], f"/stage{n}/") for n in range(6)]
        step: Step | None = None
        for n, stage in enumerate(stages):
            step = copy(stage, [f"stage{n}"], "/all/", base=step)
        assert step is not None
        return step

    one = bench.build(graph(), jobs=1, no_cache=True)
    eight = bench.build(graph(), jobs=8, no_cache=True)
    assert one.images == eight.images


def test_a_layer_whose_blob_is_lost_or_damaged_is_made_again(bench: Bench, context: Path) -> None:
    def graph() -> FileOp:
        return copy(
            local(context, "src"), ["src"], "/b/", base=copy(local(context, "app.py"), ["app.py"], "/a/")
        )

    first = bench.build(graph())
    lost = first.images[0].layers[0].digest
    bench.store.blobs.remove(lost)
    assert bench.build(graph()).images == first.images
    assert bench.store.blobs.has(lost)
    path = bench.store.blobs.path(lost)
    os.chmod(path, 0o600)
    Path(path).write_bytes(b"damaged")
    (context / "src" / "a.py").write_text("changed\n")
    again = Bench(Path(bench.store.path))
    again.store.snapshots.remove(first.images[0].layers[0].diff_id)
    healed = again.build(graph())
    assert again.watch.warnings == ["layer-healed"]
    assert healed.images[0].layers[0] == first.images[0].layers[0]


def test_zstd_layers_have_the_same_diff_ids(bench: Bench, context: Path) -> None:
    gzip = bench.build(copy(local(context, ""), [""], "/app/")).images[0]
    zstd = bench.build(copy(local(context, ""), [""], "/app/"), compression="zstd").images[0]
    assert [x.diff_id for x in gzip.layers] == [x.diff_id for x in zstd.layers]
    assert zstd.layers[0].media_type.endswith("zstd")


def test_a_source_that_is_not_there_is_placed_and_suggested(bench: Bench, context: Path) -> None:
    with pytest.raises(BuildError) as caught:
        bench.build(copy(local(context, "ap.py", ""), ["ap.py"], "/a/"))
    assert caught.value.code == "source-not-found"
    assert caught.value.span == Span("Dockerfile", 3, 1)
    assert caught.value.hint == "did you mean app.py?"


def test_a_folder_does_not_replace_a_file_nor_a_file_a_folder(bench: Bench, context: Path) -> None:
    base = copy(local(context, "app.py"), ["app.py"], "/x")
    with pytest.raises(BuildError, match="cannot copy a folder"):
        bench.build(copy(local(context, "src"), ["src"], "/x", base=base))
    other = copy(local(context, ""), [""], "/y/src/a.py/", base=None)
    with pytest.raises(BuildError, match="cannot replace the folder"):
        bench.build(copy(local(context, ""), [""], "/y/", base=other))


def test_links_and_folders_and_owners_by_name(bench: Bench) -> None:
    users = LiteralSource(
        (LiteralFile("passwd", b"app:x:7:8::/home/app:/bin/sh\n"), LiteralFile("group", b"staff:x:50:\n"))
    )
    base = FileOp(
        None,
        (
            CopyAction(users, ("passwd", "group"), "/etc/"),
            MakeFolderAction("/srv/data", Owner("7", "8"), 0o750),
            MakeLinkAction("/data", "srv/data"),
        ),
        EPOCH,
    )
    data = LiteralSource((LiteralFile("f", b"1"),))
    built = bench.build(copy(data, ["f"], "/data/sub/", base=base, owner=Owner("app", "staff")))
    found = bench.names(built)
    assert found["data"].linkname == "srv/data"
    assert (found["srv/data"].mode, found["srv/data"].uid) == (0o750, 7)
    made = found["srv/data/sub/f"]
    assert (made.uid, made.gid) == (7, 50)
    assert (found["srv/data/sub"].uid, found["srv/data/sub"].mode) == (7, 0o755)


def test_names_of_owners_need_a_user_database(bench: Bench, context: Path) -> None:
    with pytest.raises(BuildError, match="need /etc/passwd"):
        bench.build(copy(local(context, "app.py"), ["app.py"], "/a/", owner=Owner("app")))


def test_hard_links_survive_and_point_at_the_first_path(bench: Bench, context: Path) -> None:
    os.link(context / "src" / "a.py", context / "zz.py")
    found = bench.names(bench.build(copy(local(context, ""), [""], "/app/")))
    assert found["app/zz.py"].islnk()
    assert found["app/zz.py"].linkname == "app/src/a.py"


def archive(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid, info.mode = len(data), 1000000000, 5, 0o640
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_an_archive_is_unpacked_where_it_is_asked_for_and_stays_inside(bench: Bench, context: Path) -> None:
    (context / "a.tgz").write_bytes(archive(("x/y", b"hello"), ("../../up", b"up"), ("/abs", b"abs")))
    found = bench.names(bench.build(copy(local(context, "a.tgz"), ["a.tgz"], "/opt/", unpack=True)))
    assert sorted(found) == ["opt", "opt/abs", "opt/up", "opt/x", "opt/x/y"]
    assert (found["opt/x/y"].uid, found["opt/x/y"].mode, found["opt/x/y"].mtime) == (5, 0o640, 1000000000)
    copied = bench.names(bench.build(copy(local(context, "a.tgz"), ["a.tgz"], "/opt/")))
    assert sorted(copied) == ["opt", "opt/a.tgz"]


@pytest.mark.parametrize("data", [b"no archive", b"", archive()])
def test_what_is_no_archive_or_an_empty_one_is_copied(bench: Bench, context: Path, data: bytes) -> None:
    (context / "a.tgz").write_bytes(data)
    found = bench.names(bench.build(copy(local(context, "a.tgz"), ["a.tgz"], "/opt/", unpack=True)))
    assert sorted(found) == ["opt", "opt/a.tgz"]


def test_two_stores_give_one_digest(tmp_path: Path, context: Path) -> None:
    def build(n: int) -> object:
        return Bench(tmp_path / f"store{n}").build(copy(local(context, ""), [""], "/app/")).images

    assert build(1) == build(2)
