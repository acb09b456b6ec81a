"""`query //...` of a workspace of 1,000 packages with 10 targets each: cold, and when nothing changed.

The bounds are on the processor time of the whole command, the store included, because the
machine may be busy: 5 seconds of two cores, and 1 second of one.
"""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES, TARGETS = 1_000, 10
TARGET = """
image(
    name = "t{number}",
    base = "debian:12",
    steps = [
        copy(["main.py"], "/app/"),
        run("pip install -r /app/requirements.txt", network = "default"),
    ],
    env = {{"A": "{number}"}},
    cmd = ["python", "/app/main.py"],
)
"""


def queried(folder: Path, store: Path) -> tuple[int, float]:
    """How many targets the command prints, and the processor seconds that it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "buildtool", "query", "//..."],
        cwd=folder,
        env={**os.environ, "BUILDTOOL_STORE": str(store)},
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout.count(b"\n"), used


@pytest.mark.soak
def test_a_large_workspace(tmp_path: Path) -> None:
    text = 'load("@rules//image.star", "image")\n' + "".join(TARGET.format(number=n) for n in range(TARGETS))
    root = tmp_path / "workspace"
    for number in range(PACKAGES):
        folder = root / f"d{number % 40}" / f"p{number}"
        folder.mkdir(parents=True)
        (folder / "BUILD.star").write_text(text)
    (root / "buildtool.toml").touch()
    for bound in (10.0, 1.0):
        found, used = queried(root, tmp_path / "store")
        assert found == PACKAGES * TARGETS
        assert used < bound
