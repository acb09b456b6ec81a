"""Indexes of git that remember nothing of inodes, and are as good as before."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from buildtool.layers.finish import FinishSpec, Mended, finish
from buildtool.layers.gitindex import forgetful
from buildtool.layers.tree import Stack

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def repository(folder: Path, version: int = 2, hashes: str = "sha1") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q", f"--object-format={hashes}", "-b", "main")
    for number in range(40):
        (folder / f"file-{'x' * number}").write_text(str(number))
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "änother").write_text("1")
    git(folder, "add", ".")
    git(folder, "update-index", f"--index-version={version}")
    if version == 3:
        (folder / "later").write_text("1")
        git(folder, "add", "--intent-to-add", "later")
    else:
        git(folder, "commit", "-qm", "x")
    return folder


@pytest.mark.parametrize(
    ("version", "hashes"),
    [(2, "sha1"), (3, "sha1"), (4, "sha1"), (2, "sha256"), (4, "sha256")],
)
def test_two_trees_have_one_index(tmp_path: Path, version: int, hashes: str) -> None:
    found = []
    for name in ("one", "two"):
        folder = repository(tmp_path / name, version, hashes)
        path = folder / ".git" / "index"
        before, listed = git(folder, "status", "--porcelain"), git(folder, "ls-files", "--stage")
        mended = forgetful(path.read_bytes())
        assert mended is not None
        assert mended != path.read_bytes()
        path.write_bytes(mended)
        assert forgetful(mended) == mended
        assert git(folder, "ls-files", "--stage") == listed
        assert git(folder, "fsck", "--strict") == ""
        assert git(folder, "status", "--porcelain") == before
        (folder / "file-x").write_text("2")
        assert "M file-x" in git(folder, "status", "--porcelain")
        found.append(mended)
    assert found[0] == found[1]


def test_what_is_no_index_is_left_alone(tmp_path: Path) -> None:
    data = (repository(tmp_path / "one") / ".git" / "index").read_bytes()
    for other in (b"", b"DIRC", data[:-1], data[:200], b"x" + data[1:], data[:60] + b"y" + data[61:]):
        assert forgetful(other) is None


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_step_that_clones(tmp_path: Path) -> None:
    up = tmp_path / "up"
    index = repository(up / "src") / ".git" / "index"
    (up / "index").write_bytes(index.read_bytes())
    with Stack([]) as below:
        report = finish(str(up), below, FinishSpec(1_000_000_000, 0, ("git-index",)))
    assert report.mended == (Mended("git-index", b"src/.git/index"),)
    assert forgetful(index.read_bytes()) == index.read_bytes()
    assert git(up / "src", "status", "--porcelain") == ""
