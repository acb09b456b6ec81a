"""Compiles the clock library: `python -m buildtool.sandbox.clock.build [ARCHITECTURE...]`.

With the machine's `cc` for its own architecture, else, and for others and for
wheels, with the C compiler inside PyPI's `ziglang`, which needs neither headers nor
libraries of the target.  hatch_build.py uses it too, so this module imports nothing
of ours.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

#: OCI's names of the architectures, each with the machine's own and the compiler's.
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

_HERE = os.path.dirname(os.path.abspath(__file__))
_SOURCES = ("clock.c", "cpus.c", "deadlines.c", "directory.c", "linker.c")
_HEADERS = ("linker.h", "system.h")
_FLAGS = (
    "-std=gnu11",
    "-O2",
    "-Wall",
    "-Wextra",
    # Nothing of a C library may be needed, not even what compilers take for granted.
    "-ffreestanding",
    "-fno-builtin",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-nostdlib",
    "-shared",
    "-Wl,-Bsymbolic",
    "-fPIC",
    "-fvisibility=hidden",
    "-s",
    "-Wl,-soname,clock.so",
    # Old dynamic linkers read only one of the two.
    "-Wl,--hash-style=both",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,now",
)


def native() -> str | None:
    """OCI's name of this machine's architecture, None if the library knows it not."""
    machine = platform.machine()
    return next((oci for oci, own in ARCHITECTURES.items() if own == machine), None)


def output(architecture: str) -> str:
    """Where the library for an architecture is put."""
    return os.path.join(_HERE, f"clock-{architecture}.so")


def is_current(architecture: str) -> bool:
    """Whether the library is there and no older than its sources."""
    try:
        built = os.stat(output(architecture)).st_mtime_ns
    except FileNotFoundError:
        return False
    parts = (*_SOURCES, *_HEADERS, os.path.basename(__file__))
    return all(os.stat(os.path.join(_HERE, part)).st_mtime_ns <= built for part in parts)


def compiler(architecture: str, *, portable: bool = False) -> list[str] | None:
    """The command of a compiler for an architecture, None if there is none.

    With `portable`, rather the one that is the same on every machine.
    """
    zig = None
    if importlib.util.find_spec("ziglang") is not None:
        target = f"{ARCHITECTURES[architecture]}-linux-musl"
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", target]
    cc = os.environ.get("CC") or shutil.which("cc")
    if architecture != native() or cc is None or (portable and zig is not None):
        return zig
    return cc.split()


def build(architecture: str, *, portable: bool = False) -> str | None:
    """Compile for one architecture; the path of the library, None without a compiler.

    subprocess.CalledProcessError if the compiler fails; it has said why.
    """
    command = compiler(architecture, portable=portable)
    if command is None:
        return None
    path = output(architecture)
    unfinished = f"{path}.{os.getpid()}"
    machine_flags = ("-mno-outline-atomics",) if architecture == "arm64" and "ziglang" not in command else ()
    sources = [os.path.join(_HERE, source) for source in _SOURCES]
    try:
        subprocess.run([*command, *_FLAGS, *machine_flags, "-o", unfinished, *sources], check=True)
        os.replace(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
    return path


def main(argv: Sequence[str]) -> int:
    """Compile for the architectures named, else for this machine's; 1 if one could not be."""
    failed = False
    for architecture in argv or [native() or "amd64"]:
        path = build(architecture)
        print(path or f"no compiler for {architecture}: install cc, or the Python package ziglang")
        failed |= path is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
