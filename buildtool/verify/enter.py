"""Enters a world and becomes a command there: `python -m buildtool.verify.enter WORLD COMMAND...`.

WORLD is a JSON object with the fields of `Entrance`.  It runs as a process of its own, so
that nothing it changes comes back.
"""

import os
import resource
import signal
import socket
import sys

import msgspec

from buildtool.sandbox import kernel


class Entrance(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process can change about itself; defaults change nothing.

    `user` is a user id, a group id, or both -1.  `env` are variables of the command, None takes one away.
    """

    cpus: int = 0
    umask: int = -1
    hostname: str = ""
    personality: int = 0
    nice: int = 0
    limits: tuple[tuple[str, int], ...] = ()
    user: tuple[int, int] = (-1, -1)
    env: dict[str, str | None] = {}


def enter(world: Entrance) -> None:
    """Change this process; OSError where the machine does not let it."""
    if world.hostname:
        kernel.unshare(kernel.CLONE_NEWUTS)
        socket.sethostname(world.hostname)
    if world.cpus:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: world.cpus])
    if world.nice:
        os.nice(world.nice)
    for name, soft in world.limits:
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    if world.umask >= 0:
        os.umask(world.umask)
    uid, gid = world.user
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # Who compares is gone: so is the reason to build.
    kernel.end_with_parent(signal.SIGTERM)
    if world.personality:
        # Last: the addresses of what is executed next are chosen by it.
        kernel.set_personality(world.personality)
    # Not ours: what is preloaded by a variable would come to life here, and as another user.
    for name, value in world.env.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def main() -> None:
    """Enter the world of the first argument and become the command of the others."""
    enter(msgspec.json.decode(sys.argv[1], type=Entrance))
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
