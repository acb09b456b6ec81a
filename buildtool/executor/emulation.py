"""Emulation: whether this machine runs the processes of another architecture (binfmt_misc)."""

import os
from pathlib import Path

#: Machines by the architecture of an OCI platform: those that run it as they are, and qemu's name for it.
_NATIVE = {
    "amd64": ("x86_64",),
    "386": ("x86_64", "i386", "i686"),
    "arm64": ("aarch64",),
    "arm": ("aarch64", "armv7l", "armv6l"),
    "riscv64": ("riscv64",),
    "ppc64le": ("ppc64le",),
    "s390x": ("s390x",),
    "loong64": ("loongarch64",),
    "mips64": ("mips64",),
    "mips64le": ("mips64",),
}
_QEMU = {
    "amd64": "x86_64",
    "386": "i386",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
}
_REGISTERED = "/proc/sys/fs/binfmt_misc"


def runs_here(architecture: str, machine: str = "", registered: str = _REGISTERED) -> bool:
    """Whether processes of an architecture run here, by themselves or by a registered emulator."""
    if (machine or os.uname().machine) in _NATIVE.get(architecture, ()):
        return True
    entry = Path(registered) / f"qemu-{_QEMU.get(architecture, architecture)}"
    try:
        return entry.read_text().startswith("enabled")
    except OSError:
        return False
