"""Fixtures that the tests of every room share."""

import difflib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"

#: Where this is set, every process that a test starts compiles all of our modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept",
        action="store_true",
        default=os.environ.get("ACCEPT") == "1",
        help="write what the tests see into tests/golden instead of comparing (also: ACCEPT=1)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: a test waits for disks, networks and other processes half of its time."""
    return 2 * len(os.sched_getaffinity(0))


# ---------------------------------------------------------------- goldens


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str | bytes], None]:
    """`golden("room/case.txt", seen)` compares with a file below tests/golden and tells what differs."""

    def check(name: str, seen: str | bytes) -> None:
        path = GOLDEN / name
        data = seen.encode("utf-8", "surrogateescape") if isinstance(seen, str) else seen
        if request.config.getoption("--accept"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return
        if not path.exists():
            pytest.fail(f"{name} is not recorded yet: run pytest --accept and look at it", pytrace=False)
        wanted = path.read_bytes()
        if data != wanted:
            pytest.fail(f"{name} differs (pytest --accept rewrites it)\n{_difference(wanted, data)}", False)

    return check


def _difference(wanted: bytes, seen: bytes) -> str:
    try:
        old, new = wanted.decode(), seen.decode()
    except UnicodeDecodeError:
        at = next((i for i, (a, b) in enumerate(zip(wanted, seen, strict=False)) if a != b), None)
        at = min(len(wanted), len(seen)) if at is None else at
        return (
            f"  first difference at byte {at} of {len(wanted)} (seen: {len(seen)})\n"
            f"  golden: {wanted[max(0, at - 8) : at + 24]!r}\n"
            f"  seen:   {seen[max(0, at - 8) : at + 24]!r}"
        )
    rows = difflib.unified_diff(old.splitlines(), new.splitlines(), "golden", "seen", lineterm="", n=2)
    return "\n".join(rows) or "  the texts differ in line ends only"


# ---------------------------------------------------------------- an ordinary user


@dataclass
class OrdinaryUser:
    """An account without privilege that has subordinate ids, so that rootless builds work for it."""

    name: str
    uid: int
    gid: int
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def run(
        self, argv: Sequence[str | os.PathLike[str]], *, env: Mapping[str, str] | None = None, **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in its home unless `cwd` says otherwise; output is captured as text.

        `argv[0]` may be `buildtool` or `python`: this checkout's.
        """
        command = [os.fspath(a) for a in argv]
        if command[0] == "buildtool":
            command[0:1] = [self.python, "-m", "buildtool"]
        elif command[0] == "python":
            command[0] = self.python
        options: dict[str, object] = {"cwd": self.home, "text": True, "capture_output": True, "timeout": 600}
        if os.geteuid() == 0:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(command, env={**self.environment, **(env or {})}, **(options | more))  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    """An ordinary user with subordinate ids: a new account where the tests run as root, else ourselves."""
    if shutil.which("newuidmap") is None:
        pytest.skip("newuidmap (Debian: uidmap) is not installed")
    if os.geteuid() != 0:
        yield _myself()
        return
    home = Path(tempfile.mkdtemp(prefix="buildtool-home-"))
    name = f"bt{os.getpid()}"
    try:
        with _accounts():
            _must("useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh", name)
        yield _account(name, home)
    finally:
        with _accounts():
            subprocess.run(["userdel", name], capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _myself() -> OrdinaryUser:
    import pwd

    entry = pwd.getpwuid(os.geteuid())
    return OrdinaryUser(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir), dict(os.environ))


def _account(name: str, home: Path) -> OrdinaryUser:
    import pwd

    entry = pwd.getpwnam(name)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    user = OrdinaryUser(name, entry.pw_uid, entry.pw_gid, home)
    user.environment = {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    if not _reaches_our_code(user):
        # A checkout below a private folder, such as /root, is out of this user's sight.
        user.python = _copy_of_the_code(home)
    return user


def _reaches_our_code(user: OrdinaryUser) -> bool:
    try:
        return user.run(["python", "-c", "import buildtool, click, msgspec"]).returncode == 0
    except PermissionError:
        return False


def _copy_of_the_code(home: Path) -> str:
    """An environment in the home with a copy of what runs; its interpreter."""
    import click

    _must(os.path.realpath(sys.executable), "-m", "venv", "--without-pip", str(home / "venv"))
    (site,) = home.glob("venv/lib/python3*/site-packages")
    # A file that is being compiled has such a name, and then no longer.
    passing = "*.pyc.*"
    names = (passing, "*.pth", "mypy*", "ruff*", "hypothesis*", "pip*", "setuptools*", "ziglang*")
    ours = Path(click.__file__).parent.parent
    shutil.copytree(ours, site, symlinks=True, ignore=shutil.ignore_patterns(*names), dirs_exist_ok=True)
    for source, target in ((ROOT / "buildtool", "buildtool"), (ROOT / "rules", "buildtool/_rules")):
        shutil.copytree(source, site / target, ignore=shutil.ignore_patterns(passing), dirs_exist_ok=True)
    _must("chmod", "-R", "a+rX", str(home / "venv"))
    return str(home / "venv" / "bin" / "python")


@contextmanager
def _accounts() -> Iterator[None]:
    """One at a time: useradd gives up where another process holds the account files."""
    with open("/tmp/.buildtool-test-accounts", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _must(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
