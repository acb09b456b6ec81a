"""An example is verified on a machine that never saw the first build: from sources, lock and digests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "python-app"
pytestmark = pytest.mark.network


def test_an_example_comes_to_its_published_digest_on_a_machine_that_never_saw_it(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "some" / "other" / "checkout"))
    published = dict(row.split() for row in (folder / "digests.txt").read_text().splitlines())
    home = tmp_path / "home"
    kept = {k: v for k, v in os.environ.items() if k not in ("BUILDTOOL_STORE", "XDG_CACHE_HOME")}
    options = ("--locked", "--platform", "linux/amd64", "--against", "digests.txt")
    done = subprocess.run(
        [sys.executable, "-m", "buildtool", "verify", *options, ":small"],
        cwd=folder,
        env={**kept, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        ":small is what digests.txt says",
        f"  digest     {published[':small']}",
        "  builds     1",
    ]
    lock = (folder / "buildtool.lock").read_bytes()
    assert lock == (EXAMPLE / "buildtool.lock").read_bytes(), "the lock is obeyed, not written"
