"""The few system calls that Python 3.11 does not offer, as functions that raise OSError."""

import ctypes
import os

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

MNT_DETACH = 0x2

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWNET = 0x40000000

ADDR_NO_RANDOMIZE = 0x40000

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    _checked(
        _libc.mount(
            _path(source), _path(target), _path(kind), ctypes.c_ulong(flags), os.fsencode(options) or None
        ),
        target,
    )


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _checked(_libc.umount2(_path(target), flags), target)


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread."""
    _checked(_libc.unshare(flags))


def enter(namespace: int, kind: int) -> None:
    """setns(2), for the calling thread: into the namespace of this kind that a descriptor names."""
    _checked(_libc.setns(namespace, kind))


def set_personality(persona: int) -> None:
    """personality(2): what this process and all that it starts looks like to programs."""
    _checked(_libc.personality(ctypes.c_ulong(persona)))


def end_with_parent(number: int) -> None:
    """Have a signal sent to this process when its parent ends, also after exec (PR_SET_PDEATHSIG).

    A change of user undoes it.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0))


def _path(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def _checked(result: int, subject: str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)


def architecture() -> str:
    """This machine's architecture by OCI's name."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
