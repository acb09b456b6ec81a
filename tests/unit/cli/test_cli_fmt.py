"""`buildtool fmt`: what is written, printed and returned."""

import os
from pathlib import Path

import pytest

from buildtool.cli.main import run

UGLY = "X = [1,2]\nimage(steps=[],name='x')\n"
NEAT = 'X = [\n    1,\n    2,\n]\n\nimage(\n    name = "x",\n    steps = [],\n)\n'


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app").mkdir()
    Path("app/BUILD.star").write_text(UGLY)
    Path("lib.star").write_text("def f(x): return x\n")
    Path("notes.txt").write_text("x  =  1\n")


def test_a_folder_is_formatted_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    os.chmod("app/BUILD.star", 0o640)
    assert run(["fmt"]) == 0
    assert Path("app/BUILD.star").read_text() == NEAT
    assert Path("lib.star").read_text() == "def f(x):\n    return x\n"
    assert Path("notes.txt").read_text() == "x  =  1\n"
    assert os.stat("app/BUILD.star").st_mode & 0o777 == 0o640
    assert sorted(os.listdir("app")) == ["BUILD.star"]
    assert capsys.readouterr().err == "formatted lib.star\nformatted app/BUILD.star\n"
    assert run(["fmt"]) == 0
    assert capsys.readouterr().err == ""


def test_check_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "--check", "."]) == 1
    assert Path("app/BUILD.star").read_text() == UGLY
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("2 files of 2 would change; buildtool fmt writes them\n")
    run(["fmt"])
    assert run(["fmt", "--check"]) == 0


def test_diff_is_one_that_patch_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "--diff", "lib.star", "lib.star"]) == 0
    told = capsys.readouterr()
    assert told.out == (
        "--- lib.star (as it is)\n+++ lib.star (formatted)\n@@ -1 +1,2 @@\n"
        "-def f(x): return x\n+def f(x):\n+    return x\n"
    )
    assert Path("lib.star").read_text() == "def f(x): return x\n"
    assert run(["fmt", "--diff", "--check", "lib.star"]) == 1


def test_standard_input(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("BUILD.star", NEAT), ("x.star", 'X = [1, 2]\nimage(steps = [], name = "x")\n')):
        with open("app/BUILD.star") as file:
            monkeypatch.setattr("sys.stdin", file)
            assert run(["fmt", "-", "--stdin-filename", name]) == 0
        assert capfdbinary.readouterr().out.decode() == text


def test_a_file_that_is_no_starlark_stays_and_the_others_are_formatted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("bad.star").write_text("x = = 1\n")
    assert run(["fmt"]) == 2
    told = capsys.readouterr().err
    assert "bad.star:1:5: error[starlark-syntax]: '=' stands where an expression is expected" in told
    assert Path("bad.star").read_text() == "x = = 1\n"
    assert Path("app/BUILD.star").read_text() == NEAT


def test_a_link_stays_one(tmp_path: Path) -> None:
    os.rename("lib.star", "real.txt")
    os.symlink("real.txt", "lib.star")
    assert run(["fmt", "lib.star"]) == 0
    assert os.readlink("lib.star") == "real.txt"
    assert Path("real.txt").read_text() == "def f(x):\n    return x\n"


def test_what_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "nowhere.star"]) == 2
    assert "there is no file or folder nowhere.star" in capsys.readouterr().err
