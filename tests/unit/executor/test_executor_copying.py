"""Copies whose folders are there already, and patterns whose folders are not: as BuildKit has them."""

import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.graph.model import FileOp, MakeFolderAction, Owner
from tests.unit.executor.test_executor_build import EPOCH, Bench, bench, context, copy, local

__all__ = ["bench", "context"]


def owned(bench: Bench, step: FileOp) -> dict[str, tuple[int, int, int]]:
    found = bench.names(bench.build(step))
    return {name: (m.mode, m.uid, m.gid) for name, m in found.items()}


def folder(path: str, mode: int) -> FileOp:
    return FileOp(None, (MakeFolderAction(path, Owner("5", "6"), mode),), EPOCH)


def test_a_folder_on_the_way_takes_the_mode_of_the_source_and_keeps_its_owner(
    bench: Bench, context: Path
) -> None:
    os.chmod(context / "src", 0o750)
    more = {"owner": Owner("9", "9"), "mode": "640"}
    step = copy(local(context, "src"), ["src/lib/b.py"], "/", folder("/src", 0o700), parents=True, **more)
    assert owned(bench, step) == {
        "src": (0o750, 5, 6),
        "src/lib": (0o640, 9, 9),
        "src/lib/b.py": (0o640, 9, 9),
    }


def test_an_exception_to_what_is_left_out_keeps_owners_too(bench: Bench, context: Path) -> None:
    exclude = ("lib", "!lib/b.py")
    step = copy(local(context, "src"), ["src"], "/d", folder("/d/lib", 0o700), exclude=exclude)
    assert owned(bench, step) == {
        "d": (0o700, 5, 6),
        "d/a.py": (0o644, 0, 0),
        "d/lib": (0o755, 5, 6),
        "d/lib/b.py": (0o644, 0, 0),
    }


def test_a_socket_of_the_context_becomes_an_empty_file(bench: Bench, context: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(context / "sock"))
        os.chmod(context / "sock", 0o640)
        found = bench.names(bench.build(copy(local(context, "sock"), ["sock"], "/f")))
    assert (found["f"].isreg(), found["f"].size, found["f"].mode) == (True, 0, 0o640)


@pytest.mark.parametrize("owner", [Owner("root"), Owner("root", "root"), Owner("0", "root")])
def test_root_needs_no_file_of_users(bench: Bench, context: Path, owner: Owner) -> None:
    step = copy(local(context, "app.py"), ["app.py"], "/f", owner=owner)
    assert owned(bench, step) == {"f": (0o644, 0, 0)}


@pytest.mark.parametrize(
    ("owner", "ids"), [(Owner("who"), (0, 0)), (Owner("7", "who"), (7, 7)), (Owner("who", "9"), (0, 9))]
)
def test_an_unknown_name_is_an_error_on_nothing_only(
    bench: Bench, context: Path, owner: Owner, ids: tuple[int, int]
) -> None:
    source = local(context, "app.py")
    step = copy(source, ["app.py"], "/f", folder("/d", 0o755), owner=owner)
    assert owned(bench, step)["f"][1:] == ids
    for more in ({"base": None}, {"base": folder("/d", 0o755), "link": True}):
        with pytest.raises(BuildError, match="names of owners need"):
            bench.build(copy(source, ["app.py"], "/f", owner=owner, **more))  # type: ignore[arg-type]


def test_the_pivot_of_parents_can_be_a_pattern(bench: Bench, context: Path) -> None:
    step = copy(local(context, "s*"), ["s*/./lib/b.py"], "/out", parents=True)
    assert list(owned(bench, step)) == ["out", "out/lib", "out/lib/b.py"]


@pytest.mark.parametrize("path", ["gone/*.py", "src/gone/*.py"])
def test_a_pattern_in_a_folder_that_is_not_there_is_an_error(bench: Bench, context: Path, path: str) -> None:
    with pytest.raises(BuildError, match="gone' to copy"):
        bench.build(copy(local(context, path), [path], "/x/"))


@pytest.mark.parametrize("path", ["gone/./*.py", "gone/./a.py"])
def test_so_is_a_pivot_that_is_not_there(bench: Bench, context: Path, path: str) -> None:
    with pytest.raises(BuildError, match="gone' to copy"):
        bench.build(copy(local(context, path.replace("/./", "/")), [path], "/x/", parents=True))


def test_a_pattern_that_matches_nothing_in_a_folder_copies_nothing(bench: Bench, context: Path) -> None:
    assert owned(bench, copy(local(context, "src/*.none"), ["src/*.none"], "/x/")) == {}


def test_the_last_folder_in_the_order_of_names_wins(bench: Bench, context: Path) -> None:
    for name in ("a", "a-b"):
        (context / name).mkdir()
        (context / name / "f").write_text(name)
    found = bench.names(bench.build(copy(local(context, "a*/f"), ["a*/f"], "/x/")))
    assert found["x/f"].size == len("a-b")
