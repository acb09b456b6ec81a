"""Folders of a bench: theirs while anybody works in them, swept when nobody does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildtool.verify.folders import Folders, sweep
from buildtool.verify.perturb import MEMORY

#: Makes a folder, starts a process that works in it, tells both, and is killed.
KILLED = """
import os, signal, subprocess
from buildtool.verify.folders import Folders
folders = Folders()
path = folders.make(memory={memory})
open(path + "/file", "w").close()
nowhere = subprocess.DEVNULL
child = subprocess.Popen(["sleep", "60"], pass_fds=folders.locks, stdout=nowhere, stderr=nowhere)
print(path, child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def killed(*, memory: bool = False) -> tuple[Path, int]:
    script = KILLED.format(memory=memory)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    path, child = done.stdout.split()
    return Path(path), int(child)


@pytest.mark.parametrize("memory", [False, True])
def test_what_a_killed_bench_left_goes_when_its_builds_are_over(memory: bool) -> None:
    if memory and not os.path.isdir(MEMORY):
        pytest.skip(f"this machine has no {MEMORY}")
    path, child = killed(memory=memory)
    try:
        sweep()
        assert (path / "file").exists(), "a build still works there"
    finally:
        os.kill(child, 9)
    for _ in range(1000):
        sweep()
        if not path.exists():
            return
    pytest.fail("the folder stays")


def test_folders_in_use_and_those_of_others_stay(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = Folders()
    ours = Path(folders.make())
    strange = place / "buildtool-other"
    strange.mkdir()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    (place / "buildtool-verify-link").symlink_to(elsewhere)
    (place / "buildtool-verify-file").touch()
    sweep()
    assert ours.exists()
    assert strange.exists()
    assert (elsewhere / "file").exists()
    assert (place / "buildtool-verify-file").exists()
    folders.close()
    assert not ours.exists()


@pytest.mark.root
def test_a_folder_that_another_account_called_so_stays(place: Path) -> None:
    theirs = place / "buildtool-verify-theirs"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    sweep()
    assert theirs.exists()
    os.chown(theirs, 0, 0)
    assert sweep() >= 1
    assert not theirs.exists()
