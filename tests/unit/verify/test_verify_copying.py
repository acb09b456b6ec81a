"""Copies of sources: the same to a build, in another order to who lists them."""

import os
import stat
from pathlib import Path

import pytest

from buildtool.verify.copying import copy_tree, disordered
from tests.support.determinism_context import make_context


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """What a build can see of a folder."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for here, folders, files in os.walk(os.fsencode(folder)):
        for name in sorted((*folders, *files)):
            path = here + b"/" + name
            shown = os.fsdecode(path[len(os.fsencode(folder)) :])
            status = os.lstat(path)
            kind = status.st_mode
            detail: object = ""
            if stat.S_ISLNK(kind):
                detail = os.readlink(path)
            elif stat.S_ISREG(kind):
                detail = Path(os.fsdecode(path)).read_bytes()
            found[shown] = (kind, detail, status.st_nlink if stat.S_ISREG(kind) else 0)
            first.setdefault(status.st_ino, shown)
    return found


@pytest.mark.parametrize("order", ["", "reversed", "shuffled"])
def test_a_copy_has_every_odd_file(order: str, tmp_path: Path) -> None:
    source = make_context(tmp_path / "source")
    copy_tree(str(source), str(tmp_path / "a" / "b"), order)  # type: ignore[arg-type]
    assert seen(tmp_path / "a" / "b") == seen(source)


def test_a_copy_into_its_source_ends(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    copy_tree(str(tmp_path), str(tmp_path / "copy"))
    assert sorted(os.listdir(tmp_path / "copy")) == ["file"]


def test_disorderfs_lists_in_another_order(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n}").write_text("")
    with disordered(str(folder), str(tmp_path / "shown"), "shuffled") as shown:
        if shown == str(folder):
            pytest.skip("disorderfs is not installed, or may not mount")
        lists = {tuple(os.listdir(shown)) for _ in range(5)}
        assert len(lists) > 1
        assert {tuple(sorted(found)) for found in lists} == {tuple(sorted(os.listdir(folder)))}
    assert os.listdir(tmp_path / "shown") == []
