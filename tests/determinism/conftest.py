"""What the worlds have in common: the base, made once a session, and the plain build of each fixture."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.determinism_worlds import MEMORY, PLAIN, ROOT, Result, build, roomy

#: On disk where /tmp is in memory, and as large as stores need.
PLACE = Path(os.environ.get("TMPDIR", "/var/tmp"))

_BASE = """\
load("@rules//debian.star", "debian_root")

# The release itself, without updates: its packages no longer change.
debian_root(name = "base", packages = ["python3-minimal"], suites = ["bookworm"], variant = "essential")
"""


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A folder that all workers of this session have in common, and ordinary users can enter.

    Not below pytest's own, which it shuts to others whenever another session begins.
    """
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = PLACE / f"buildtool-determinism-{os.geteuid()}-{session}"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    with (folder / "session.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield folder
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another worker is still at it, and the last one cleans up
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def base(shared: Path) -> Path:
    """A layout with one image: a small Debian with Python, made of packages by the first that asks."""
    folder = shared / "base"
    with alone(shared / "base.lock"):
        if not (folder / "layout").exists():
            folder.mkdir(exist_ok=True)
            (folder / "BUILD.star").write_text(_BASE)
            command = [sys.executable, "-m", "buildtool", "build", ":base", "--progress", "plain"]
            environment = {**os.environ, "BUILDTOOL_STORE": str(folder / "store"), "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [*command, "-o", "type=oci,dest=layout.part,tar=false"],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=900,
            )
            assert done.returncode == 0, done.stderr
            shutil.rmtree(folder / "store", ignore_errors=True)
            subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
            (folder / "layout.part").rename(folder / "layout")
    return folder / "layout"


@pytest.fixture(scope="session")
def plain(shared: Path) -> Callable[[str, Path | None], Result]:
    """`plain(dockerfile, base)`: the build in the plain world that the others are compared with."""

    def of(dockerfile: str, base: Path | None) -> Result:
        folder = shared / f"plain-{dockerfile}"
        said = folder / "result.json"
        with alone(shared / f"{dockerfile}.lock"):
            if not said.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                made = build(PLAIN, dockerfile, disk=folder, memory=None, base=base, user=None)
                said.write_text(json.dumps([made.digest, str(made.store)]))
        digest, store = json.loads(said.read_text())
        return Result(digest, Path(store))

    return of


@pytest.fixture
def memory() -> Iterator[Path | None]:
    """A folder on a tmpfs that anyone may write to; None where there is no room."""
    if not roomy():
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="buildtool-", dir=MEMORY))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that anyone may write to, emptied at the end: a session's stores would fill a disk."""
    folder = Path(tempfile.mkdtemp(prefix="buildtool-world-", dir=PLACE))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
