"""`buildtool test`: what passes, what fails and why, and what is no test."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUSYBOX = shutil.which("busybox")

BUILD = """load("@rules//image.star", "image")
load("@rules//test.star", "image_test")
image(name = "i", steps = [copy(["busybox"], "/bin/")], entrypoint = ["/bin/busybox"], env = {"A": "b"})
image_test(name = "says", image = ":i", command = ["echo", "hello"], output = ["hello"], not_output = ["bye"])
image_test(name = "env", image = ":i", command = ["env"], output = ["A=b", "C=d"], env = {"C": "d"})
image_test(name = "fails", image = ":i", command = ["false"], status = 1)
image_test(name = "alone", image = ":i", command = ["cat", "/proc/net/dev"], not_output = ["eth"])
"""
WRONG = """image_test(name = "wrong", image = ":i", command = ["echo", "thing"], status = 3, output = ["x"])
image_test(name = "slow", image = ":i", command = ["sleep", "30"], timeout = 1)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "buildtool", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if BUSYBOX is None:
        pytest.skip("busybox is not installed")
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    folder = tmp_path / "w"
    folder.mkdir()
    shutil.copy(BUSYBOX, folder / "busybox")
    (folder / "BUILD.star").write_text(BUILD)
    return folder


def test_tests_that_pass(workspace: Path) -> None:
    done = run(workspace, "test", "//...")
    assert done.returncode == 0, done.stdout + done.stderr
    *rows, last = done.stdout.splitlines()
    assert sorted(r.split(" (")[0] for r in rows) == [
        f"PASS //:{n}" for n in ("alone", "env", "fails", "says")
    ]
    assert last == "4 of 4 tests passed"


def test_tests_that_fail_say_why(workspace: Path) -> None:
    (workspace / "BUILD.star").write_text(BUILD + WRONG)
    done = run(workspace, "test", ":wrong", ":slow")
    assert done.returncode == 1
    assert "exit status 0, not 3" in done.stdout
    assert "the output does not hold 'x'" in done.stdout
    assert "  | thing" in done.stdout
    assert "did not end within 1 seconds" in done.stdout
    assert done.stdout.endswith("0 of 2 tests passed\n")


def test_what_holds_no_test(workspace: Path) -> None:
    done = run(workspace, "test", ":i")
    assert done.returncode == 2
    assert "error[no-tests]" in done.stderr
