import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark import globbing
from buildtool.frontends.starlark.globbing import glob


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


@pytest.mark.parametrize(
    ("include", "exclude", "found"),
    [
        (["*.py"], [], ["a.py", "b.py"]),
        (["**/*.py"], [], ["a.py", "b.py", "src/c.py", "src/deep/d.py"]),
        (["**"], ["**/*.py"], [".env", "src/deep/e.txt"]),
        (["src/**"], ["src/deep/**"], ["src/c.py"]),
        (["?.py"], ["b*"], ["a.py"]),
        (["src/*/*"], [], ["src/deep/d.py", "src/deep/e.txt"]),
        (["[ab].py"], [], []),
    ],
)
def test_patterns(tmp_path: Path, include: list[str], exclude: list[str], found: list[str]) -> None:
    make(
        tmp_path,
        "b.py",
        "a.py",
        "src/c.py",
        "src/deep/d.py",
        "src/deep/e.txt",
        ".env",
        "BUILD.star",
        ".git/x.py",
    )
    assert glob(str(tmp_path), include, exclude) == found


def test_other_packages_and_linked_folders_are_not_seen(tmp_path: Path) -> None:
    make(tmp_path, "ws/a.py", "ws/other/BUILD.star", "ws/other/b.py", "ws/other/deep/c.py", "outside/d.py")
    os.symlink(tmp_path / "outside", tmp_path / "ws" / "link")
    assert glob(str(tmp_path / "ws"), ["**"], []) == ["a.py", "link"]


def test_order_is_that_of_bytes(tmp_path: Path) -> None:
    make(tmp_path, "b", "a.b", "a/b", "é", "Z")
    assert glob(str(tmp_path), ["**"], []) == ["Z", "a.b", "a/b", "b", "é"]


@pytest.mark.parametrize("pattern", ["../x", "/etc/*", "a//b", "", "a/**b", "./a"])
def test_bad_patterns(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(BuildError) as raised:
        glob(str(tmp_path), [pattern], [])
    assert raised.value.code == "bad-glob"


def test_a_match_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    open(os.path.join(os.fsencode(tmp_path), b"a\xff.py"), "w").close()
    assert glob(str(tmp_path), ["*.txt"], []) == []
    with pytest.raises(BuildError) as raised:
        glob(str(tmp_path), ["*.py"], [])
    assert raised.value.code == "bad-file-name"


def test_matches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a", "b", "c")
    monkeypatch.setattr(globbing, "MAX_MATCHES", 2)
    with pytest.raises(BuildError) as raised:
        glob(str(tmp_path), ["*"], [])
    assert raised.value.code == "glob-too-big"
