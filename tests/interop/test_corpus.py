"""The Dockerfiles of the corpus that Debian has bases for are built, to the bytes that are expected."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[1] / "golden" / "dockerfile" / "corpus"
pytestmark = pytest.mark.network


def buildtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "buildtool", *arguments],
        cwd=folder / "corpus",
        env={**os.environ, "BUILDTOOL_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_the_corpus_is_built(tmp_path: Path) -> None:
    shutil.copytree(CORPUS, tmp_path / "corpus")
    expected = dict(row.split() for row in (CORPUS / "digests.txt").read_text().splitlines())
    done = buildtool(tmp_path, "build", "--progress=plain", "--locked", *expected)
    assert done.returncode == 0, done.stderr[-4000:]
    seen = {label: buildtool(tmp_path, "build", "-q", "--locked", label).stdout.strip() for label in expected}
    assert seen == expected
    # The same file by the command line, a target in the place of its base.
    contexts = ("--build-context", "gcc:14=target://:base")
    done = buildtool(tmp_path, "build", "-q", *contexts, "static-c")
    assert done.stdout.strip() == expected[":static-c"], done.stderr[-4000:]
    shutil.rmtree(tmp_path, ignore_errors=True)
