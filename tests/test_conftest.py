"""The shared fixtures themselves: goldens that say what differs, an ordinary user that can build."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

Golden = Callable[[str, str | bytes], None]
CONFTEST = Path(__file__).with_name("conftest.py")


def _project(pytester: pytest.Pytester, seen: str) -> None:
    tests = pytester.mkdir("tests")
    (tests / "conftest.py").write_text(CONFTEST.read_text())
    (tests / "test_it.py").write_text(f"def test_it(golden):\n    golden('room/it.txt', {seen})\n")


def test_a_golden_that_is_missing_is_asked_for(pytester: pytest.Pytester) -> None:
    _project(pytester, "'text\\n'")
    pytester.runpytest("-p", "no:cacheprovider").stdout.fnmatch_lines(["*not recorded yet*--accept*"])


def test_a_golden_tells_what_differs(pytester: pytest.Pytester) -> None:
    _project(pytester, "'same\\nnew\\n'")
    golden = pytester.path / "tests/golden/room/it.txt"
    golden.parent.mkdir(parents=True)
    golden.write_text("same\nold\n")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*-old*", "*+new*"])
    pytester.runpytest("--accept", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert golden.read_text() == "same\nnew\n"
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_bytes_are_compared_where_they_part(pytester: pytest.Pytester) -> None:
    _project(pytester, "b'\\xff\\x00\\x02'")
    golden = pytester.path / "tests/golden/room/it.txt"
    golden.parent.mkdir(parents=True)
    golden.write_bytes(b"\xff\x00\x01")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*first difference at byte 2 of 3*"])


def test_an_ordinary_user_has_ids_and_runs_our_code(ordinary_user: Any) -> None:
    assert ordinary_user.uid != 0
    ids = ordinary_user.run(["cat", "/etc/subuid"]).stdout
    if os.geteuid() == 0:
        assert f"{ordinary_user.name}:" in ids
    done = ordinary_user.run(["buildtool", "--version"])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_and_an_ordinary_user_build_the_same(ordinary_user: Any, tmp_path: Path) -> None:
    context = ordinary_user.home / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (context / "file").write_text("text")
    os.chown(context, ordinary_user.uid, ordinary_user.gid)
    theirs = ordinary_user.run(["buildtool", "build", "-q", str(context)])
    assert theirs.returncode == 0, theirs.stderr

    ours = subprocess.run(
        [sys.executable, "-m", "buildtool", "build", "-q", str(context)],
        env={**os.environ, "BUILDTOOL_STORE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ours.returncode == 0, ours.stderr
    assert ours.stdout == theirs.stdout
