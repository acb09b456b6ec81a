"""Readies a checkout: the virtual environment from the lock files, and the Debian packages beside it.

`make` calls this with the python3 of the machine, so it uses the standard library alone.
It does nothing where nothing is missing, and tells in a line what it does.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)


@dataclass(frozen=True)
class Need:
    """A thing that must be on the machine, and the Debian package that brings it."""

    package: str
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def present(self) -> bool:
        """Whether one of the commands or files that stand for it is there."""
        if any(shutil.which(c, path=_path()) for c in self.commands):
            return True
        return any(any(Path("/").glob(f.lstrip("/"))) for f in self.files)


#: Debian's pip trusts the certificates of this package, and so do downloads of a build.
CERTIFICATES = Need("ca-certificates", files=("/etc/ssl/certs/ca-certificates.crt",))
VENV_MODULE = Need("python3-venv", files=("/usr/lib/python3*/ensurepip", "/usr/local/lib/python3*/ensurepip"))

BUILDING = (
    CERTIFICATES,
    Need("crun", commands=("crun", "runc")),
    Need("gpgv", commands=("gpgv", "gpgv-sq")),
    Need("debian-archive-keyring", files=("/usr/share/keyrings/debian-archive-keyring.gpg",)),
)
ROOTLESS = (Need("uidmap", commands=("newuidmap",)),)
TESTING = (
    *ROOTLESS,
    Need("buildah", commands=("buildah",)),
    Need("busybox-static", commands=("busybox",)),
    Need("chromium", commands=("chromium",)),
    Need("disorderfs", commands=("disorderfs",)),
    Need("docker-registry", commands=("docker-registry",)),
    Need("gcc", commands=("cc",)),
    Need("libc6-dev", files=("/usr/include/stdio.h",)),
    Need("libfaketime", files=("/usr/lib/*/faketime/libfaketime.so.1",)),
    Need("make", commands=("make",)),
    Need("musl-tools", commands=("musl-gcc",)),
    Need("openssh-client", commands=("ssh-keygen",)),
    Need("podman", commands=("podman",)),
    Need("skopeo", commands=("skopeo",)),
    Need("slirp4netns", commands=("slirp4netns",)),
    Need("umoci", commands=("umoci",)),
)


class Stop(Exception):
    """Setting up cannot go on; the message tells why and what to do."""


def main(argv: list[str]) -> int:
    """`setup.py demo` for what a build needs; `test` and `wheel` for what those need besides."""
    testing = argv == ["test"]
    _prefer_a_python_for_all(argv)
    try:
        if sys.version_info < OLDEST:
            raise Stop(f"python3 is {platform.python_version()}; 3.{OLDEST[1]} or newer is needed")
        needs = BUILDING if os.geteuid() == 0 else BUILDING + ROOTLESS
        packages(needs + TESTING if testing else needs)
        environment(testing, cross=argv == ["wheel"])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    return 0


def _prefer_a_python_for_all(argv: list[str]) -> None:
    """As root, go on with Debian's Python where this one lies in a private folder.

    Tests start builds as an ordinary user, who must be able to run the interpreter.
    """
    system = "/usr/bin/python3"
    found = Path(sys.executable).resolve()
    private = any(folder.stat().st_mode & 0o001 == 0 for folder in found.parents)
    if os.geteuid() != 0 or not private or not os.access(system, os.X_OK):
        return
    fits = f"import sys; sys.exit(sys.version_info < {OLDEST!r})"
    if subprocess.run((system, "-c", fits), capture_output=True).returncode == 0:
        os.execv(system, (system, str(Path(__file__)), *argv))


# ---------------------------------------------------------------- Debian packages


def packages(needs: Iterable[Need]) -> None:
    """Install what is missing, as root; anyone else is told the one line that does."""
    missing = sorted({n.package for n in needs if not n.present()})
    if not missing:
        return
    if not shutil.which("apt-get", path=_path()):
        raise Stop(f"missing on this machine, under these names in Debian: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise Stop(
            f"Some packages are missing. Please run this line, then make again:\n"
            f"    sudo apt-get install -y --no-install-recommends {' '.join(missing)}"
        )
    say("packages", f"apt-get install {' '.join(missing)}")
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
    # A bare machine has no package lists or stale ones: only a failure tells which.
    for refresh in (False, True, True):
        if refresh:
            _quiet(("apt-get", "update", "-qq"))
        problem = _quiet(install)
        if problem is None:
            return
        time.sleep(1)
    raise Stop(f"apt-get could not install {' '.join(missing)}:\n{problem}")


# ---------------------------------------------------------------- virtual environment


def environment(testing: bool, *, cross: bool) -> None:
    """A `.venv` with exactly the locked packages, every file checked against its hash, and this checkout."""
    wanted = ["requirements.txt", "requirements-build.txt"]
    if cross or shutil.which("cc", path=_path()) is None:
        wanted.append("requirements-zig.txt")
    if testing:
        wanted.append("requirements-dev.txt")
    _make_venv()
    missing = [name for name in wanted if not _stamp(name).exists()]
    if missing:
        say(".venv", "pip install --require-hashes " + " ".join(f"-r {name}" for name in missing))
        _pip(
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *(a for name in missing for a in ("-r", str(ROOT / name))),
            tries=3,
        )
        for name in missing:
            _stamp(name).touch()
    if not _checkout_stamp().exists():
        say(".venv", "pip install -e .   (compiles the clock library)")
        _pip("--no-deps", "--no-build-isolation", "-e", str(ROOT), tries=1)
        _checkout_stamp().touch()


def _make_venv() -> None:
    if (VENV / "bin" / "python").exists() and (VENV / "bin" / "pip").exists():
        return
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        _install_venv_module()
    say(".venv", f"python3 -m venv .venv   (Python {platform.python_version()})")
    problem = _quiet((sys.executable, "-m", "venv", "--clear", str(VENV)))
    if problem is not None:
        raise Stop(f"python3 -m venv failed:\n{problem}")


def _install_venv_module() -> None:
    if not sys.executable.startswith("/usr/bin/"):
        raise Stop(f"{sys.executable} comes without ensurepip; use a Python that has it")
    exact = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    packages((Need(exact, files=("/nonexistent",)),))


def _pip(*arguments: str, tries: int) -> None:
    command = (
        *(str(VENV / "bin" / "python"), "-m", "pip", "install"),
        *("--quiet", "--disable-pip-version-check", "--no-input", *arguments),
    )
    for left in reversed(range(tries)):
        problem = _quiet(command)
        if problem is None:
            return
        if left:
            time.sleep(2)
    raise Stop(f"pip install failed:\n{problem}")


def _stamp(name: str) -> Path:
    """A file in the environment that exists once this very lock file was installed there."""
    return VENV / f".installed-{Path(name).stem}-{_fingerprint([ROOT / name])}"


def _checkout_stamp() -> Path:
    sources = [ROOT / "pyproject.toml", ROOT / "hatch_build.py"]
    clock = ROOT / "buildtool" / "sandbox" / "clock"
    sources += sorted(p for p in clock.glob("*") if p.suffix in (".c", ".h", ".S"))
    libraries = sorted(clock.glob("*.so"))
    # A library that was removed must be made again, so its presence takes part.
    return VENV / f".installed-checkout-{_fingerprint(sources, str(ROOT), str(len(libraries) > 0))}"


def _fingerprint(files: Iterable[Path], *more: str) -> str:
    seen = hashlib.sha256("\0".join((sys.version, *more)).encode())
    for path in files:
        seen.update(path.read_bytes() if path.exists() else b"")
    return seen.hexdigest()[:16]


# ---------------------------------------------------------------- running, telling


def _quiet(command: Iterable[str]) -> str | None:
    """Run a command; None if it went well, else the end of what it said."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": _path()}
    done = subprocess.run(
        tuple(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    if done.returncode == 0:
        return None
    return "\n".join("    " + row for row in done.stdout.decode(errors="replace").splitlines()[-25:])


def _path() -> str:
    """PATH with the folders of system programs, which ordinary users often lack."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def say(what: str, text: str) -> None:
    """One line about what is done now."""
    print(f"{what:>10}  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
