"""Runs alone (`python -I -S stub.py`): enters new namespaces, then becomes a program's parent.

It imports nothing of ours, so that it starts fast and before anything else is
loaded.  Arguments: two descriptors, `root` or `user`, and the program with its
arguments.  To the first descriptor it writes `mapping` when its user namespace
waits for the identity maps, and `failed STAGE ERRNO` when it must give up; the
program closes it by starting.  From the second it reads one byte once the maps
are written.  As long as the program runs, it watches that one: when the process
that started it has gone, the program goes too, and with it every process that it
started, since it is the first one of a PID namespace.
"""

import ctypes
import os
import select
from typing import NoReturn

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)


def main(argv: list[str]) -> NoReturn:
    """Carry out what the module says; ends with the program's exit status."""
    status, lifeline = int(argv[0]), int(argv[1])
    os.set_inheritable(status, False)
    os.set_inheritable(lifeline, False)
    # A process of a step must not find the terminal of the person who builds.
    os.setsid()
    _enter(argv[2], status, lifeline)
    child = os.fork()
    if child == 0:
        _become(argv[3:], status)
    _let_go(lifeline)
    os._exit(_watch(child, lifeline))


def _enter(kind: str, status: int, lifeline: int) -> None:
    stage = "user-namespace"
    try:
        if kind == "user":
            _checked(_libc.unshare(_NEWUSER))
            os.write(status, b"mapping")
            if not os.read(lifeline, 1):
                os._exit(1)
            stage = "identity"
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            os.setgroups([])
        stage = "namespaces"
        _checked(_libc.unshare(_NEWNS | _NEWUTS | _NEWIPC | _NEWPID))
        _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
        _checked(_libc.setdomainname(b"(none)", 6))
    except OSError as e:
        _fail(status, stage, e)


def _become(argv: list[str], status: int) -> NoReturn:
    stage = "proc"
    try:
        _checked(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(_SIGKILL), 0, 0, 0))
        flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
        _checked(_libc.mount(b"proc", b"/proc", b"proc", flags, None))
        stage = "exec"
        os.environ["BUILDTOOL_NAMESPACE"] = str(os.stat("/proc/self/ns/mnt").st_ino)
        os.execvp(argv[0], argv)
    except OSError as e:
        _fail(status, stage, e)


def _let_go(lifeline: int) -> None:
    """Close all but the lifeline, so that a pipe to the program ends when the program does."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.closerange(3, lifeline)
    os.closerange(lifeline + 1, 1 << 16)


def _watch(child: int, lifeline: int) -> int:
    watched = select.poll()
    watched.register(os.pidfd_open(child), select.POLLIN)
    watched.register(lifeline, 0)
    if any(fd == lifeline for fd, _ in watched.poll()):
        os.kill(child, _SIGKILL)
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    return code if code >= 0 else 128 - code


def _fail(status: int, stage: str, error: OSError) -> NoReturn:
    os.write(status, f"failed {stage} {error.errno}".encode())
    os._exit(1)


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
