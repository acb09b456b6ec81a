"""Worker processes in namespaces of their own: as root, and as an ordinary user.

`spawn` starts a program in new mount, PID, UTS and IPC namespaces; an ordinary
user gets a user namespace around them in which the user is root and the
subordinate ids of /etc/subuid and /etc/subgid are the other users.  Mounts made
there are seen by nobody else and go with the last process; when the program
ends, or the process that started it, every process below it is killed.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from buildtool.diag import BuildError
from buildtool.sandbox import kernel

if TYPE_CHECKING:
    import subprocess

_STUB = os.path.join(os.path.dirname(__file__), "stub.py")
_MARK = "BUILDTOOL_NAMESPACE"

#: Limits that a step sees, where the machine allows as much.
_STACK = 8 << 20
_OPEN_FILES = (1024, 524288)


class Child:
    """A program started by `spawn`.  It is killed when this object is closed or its process ends."""

    def __init__(self, process: "subprocess.Popen[bytes]", lifeline: int) -> None:
        self.process = process
        self._lifeline = lifeline

    @property
    def pid(self) -> int:
        """The process that watches over the program."""
        return self.process.pid

    def poll(self) -> int | None:
        """The exit status (128 and the number for a signal), or None while the program runs."""
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, at most `timeout` seconds (then subprocess.TimeoutExpired); the exit status."""
        status = self.process.wait(timeout)
        self.close()
        return status

    def kill(self) -> None:
        """Kill the program and all that it started."""
        self.process.kill()

    def close(self) -> None:
        """Let go of the program: it is killed if it still runs."""
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


def rootless() -> bool:
    """Whether this process is not the machine's root: an ordinary user, or root of a user namespace only."""
    if os.geteuid() != 0:
        return True
    with open("/proc/self/uid_map", "rb") as f:
        return f.read().split() != [b"0", b"0", b"4294967295"]


def spawn(
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start `argv` in namespaces of its own and return once it has begun.

    Descriptors and `env` are as for subprocess.Popen.  BuildError `no-namespaces`,
    `no-user-namespaces`, `no-subordinate-ids` or `no-newuidmap` where the machine
    does not let us, with what to do about it.
    """
    import subprocess

    kind = "root" if os.geteuid() == 0 else "user"
    maps = _maps() if kind == "user" else ()
    status, status_end = os.pipe2(os.O_CLOEXEC)
    lifeline_end, lifeline = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _STUB, str(status_end), str(lifeline_end), kind, *argv],
            pass_fds=(*pass_fds, status_end, lifeline_end),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
        )
    except BaseException:
        os.close(lifeline)
        os.close(status)
        raise
    finally:
        os.close(status_end)
        os.close(lifeline_end)
    child = Child(process, lifeline)
    try:
        _await_start(child, status, lifeline, maps, argv)
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        os.close(status)
    return child


def prepare_worker() -> None:
    """Make this process fit to run steps: call it once, at its start, before there are threads.

    Fixes what every step inherits from it: the umask, the place of programs in
    memory (no randomisation), limits.  A process that `spawn` did not start gets a
    mount namespace here, if it is root; else BuildError `no-namespaces`.
    """
    import resource

    if not is_isolated():
        try:
            kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC)
            kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        except OSError as e:
            raise BuildError(
                "no-namespaces",
                f"this process may not make a mount namespace: {e.strerror}",
                hint="run it as root, or with: unshare --map-root-user --map-auto --mount",
                exit_status=1,
            ) from None
        os.environ[_MARK] = str(os.stat("/proc/self/ns/mnt").st_ino)
    os.umask(0o022)
    kernel.set_personality(kernel.ADDR_NO_RANDOMIZE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_at_most(_STACK, hard), hard))


def is_isolated() -> bool:
    """Whether this process lives in a mount namespace that was made for it."""
    return os.environ.get(_MARK) == str(os.stat("/proc/self/ns/mnt").st_ino)


def open_files() -> tuple[int, int]:
    """The soft and hard limit of open files that a step gets."""
    import resource

    hard = _at_most(_OPEN_FILES[1], resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return min(_OPEN_FILES[0], hard), hard


def _at_most(wanted: int, hard: int) -> int:
    return wanted if hard < 0 else min(wanted, hard)


def _await_start(
    child: Child,
    status: int,
    lifeline: int,
    maps: Sequence[tuple[str, list[tuple[int, int, int]]]],
    argv: Sequence[str],
) -> None:
    message = os.read(status, 200)
    if message == b"mapping":
        for tool, ranges in maps:
            _write_map(tool, child.pid, ranges)
        os.write(lifeline, b"m")
        message = os.read(status, 200)
    if message:
        _, stage, number = message.decode().split()
        _raise_refused(stage, int(number), argv)


def _raise_refused(stage: str, number: int, argv: Sequence[str]) -> NoReturn:
    reason = os.strerror(number)
    if stage == "exec":
        raise BuildError("worker-failed", f"cannot start {argv[0]}: {reason}", exit_status=1)
    if stage == "proc":
        raise BuildError(
            "no-namespaces",
            f"cannot mount /proc in a new PID namespace: {reason}",
            hint="inside a container, give it an unmasked /proc "
            "(docker: --security-opt systempaths=unconfined)",
            exit_status=1,
        )
    if os.geteuid() == 0:
        raise BuildError(
            "no-namespaces",
            f"root may not make namespaces here: {reason}",
            hint="inside a container, give it the right to (docker: --cap-add SYS_ADMIN)",
            exit_status=1,
        )
    raise BuildError(
        "no-user-namespaces",
        f"this user may not make a user namespace with mounts: {reason}",
        hint=_how_to_allow(),
        exit_status=1,
    )


def _how_to_allow() -> str:
    """The line that lifts the restriction which this kernel reports."""
    for name, forbidding, allowing in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_user_namespaces", "0", "15000"),
    ):
        try:
            with open("/proc/sys/" + name.replace(".", "/")) as f:
                found = f.read().strip()
        except OSError:
            continue
        if found == forbidding:
            return f"as root: sysctl -w {name}={allowing}"
    return "build as root, or on a machine that lets users make user namespaces"


def _maps() -> tuple[tuple[str, list[tuple[int, int, int]]], ...]:
    """For newuidmap and newgidmap each the (inside, outside, count) of this user."""
    found = []
    for tool, own, path in (
        ("newuidmap", os.geteuid(), "/etc/subuid"),
        ("newgidmap", os.getegid(), "/etc/subgid"),
    ):
        program = shutil.which(tool, path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/sbin")
        if program is None:
            raise BuildError(
                "no-newuidmap",
                f"{tool} is needed to build as an ordinary user, and is not installed",
                hint="as root: apt-get install uidmap",
                exit_status=1,
            )
        ranges = [(0, own, 1)]
        inside = 1
        for start, count in _subordinate(path):
            ranges.append((inside, start, count))
            inside += count
        found.append((program, ranges))
    return tuple(found)


def _subordinate(path: str) -> list[tuple[int, int]]:
    """The (start, count) ranges of subordinate ids that subuid(5) gives this user."""
    import pwd

    uid = os.geteuid()
    names = {str(uid)}
    try:
        names.add(pwd.getpwuid(uid).pw_name)
    except KeyError:
        pass
    found = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            for line in f:
                owner, _, rest = line.strip().partition(":")
                start, _, count = rest.partition(":")
                if owner in names and start.isdecimal() and count.isdecimal() and int(count):
                    found.append((int(start), int(count)))
    except FileNotFoundError:
        pass
    if not found:
        name = max(names, key=len)
        raise BuildError(
            "no-subordinate-ids",
            f"{path} gives no subordinate ids to user {name}",
            hint=f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}",
            exit_status=1,
        )
    return found


def _write_map(tool: str, pid: int, ranges: list[tuple[int, int, int]]) -> None:
    import subprocess

    numbers = [str(n) for r in ranges for n in r]
    done = subprocess.run([tool, str(pid), *numbers], stderr=subprocess.PIPE, check=False)
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()
        raise BuildError(
            "no-user-namespaces",
            f"{os.path.basename(tool)} failed: {reason}",
            hint="as root: apt-get install --reinstall uidmap",
            exit_status=1,
        )
