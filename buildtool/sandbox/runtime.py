"""The OCI runtime that starts processes: crun or runc, as a program.

The runtime's own messages go to a log file of its own, so that they are never
mistaken for the process's; a process that could not be started is told apart
from one that failed.
"""

import json
import os
import select
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildtool.diag import BuildError

if TYPE_CHECKING:
    import subprocess

_CHUNK = 1 << 16
_PATIENCE_MS = 50
_LONGEST_LOG = 1 << 16

#: What the runtimes say when the program itself cannot be executed.
_NO_PROGRAM = ("executable file", "open executable", "exec: ")


class Stopped(Exception):
    """A process was killed because its caller asked for it."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime on this machine: the program's absolute path, and which of the two it behaves like."""

    program: str
    is_crun: bool

    def takes_filters(self) -> bool:
        """Whether it loads a seccomp program from an annotation, as crun does since 0.18."""
        import re
        import subprocess

        said = subprocess.run([self.program, "--version"], stdout=subprocess.PIPE, check=False).stdout
        found = re.match(rb"crun version (\d+)\.(\d+)", said)
        return found is not None and (int(found[1]), int(found[2])) >= (0, 18)

    def arguments(self, state: str, log: str) -> list[str]:
        """The command up to the name of a subcommand."""
        found = [self.program, "--root", state, "--log", log]
        # What crun says from inside the container comes among the output: let people read it.
        return [*found, "--cgroup-manager=disabled"] if self.is_crun else [*found, "--log-format", "json"]


def find(wanted: str | None = None) -> Runtime:
    """The runtime called `wanted`, else $BUILDTOOL_RUNTIME, else crun, else runc.

    BuildError `no-oci-runtime` when there is none.
    """
    wanted = wanted or os.environ.get("BUILDTOOL_RUNTIME")
    path = os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
    for name in (wanted,) if wanted else ("crun", "runc"):
        program = shutil.which(name, path=path)
        if program is not None:
            return Runtime(os.path.abspath(program), "runc" not in os.path.basename(program))
    raise BuildError(
        "no-oci-runtime",
        f"the OCI runtime {wanted} is not on this machine"
        if wanted
        else "no OCI runtime (crun or runc) is on this machine",
        hint="as root: apt-get install crun",
        exit_status=1,
    )


def run(
    runtime: Runtime,
    *,
    state: str,
    bundle: str,
    name: str,
    on_output: Callable[[bytes], None],
    stop: Callable[[], bool],
) -> int:
    """Run the bundle to its end; its exit status (128 and the number for a signal).

    Standard output and error come through one pipe to `on_output`, piece by piece.
    `stop` is asked some twenty times a second; when it says so, the process and all
    that it started are killed, and `Stopped` is raised.  Returns when the first process
    ends, whoever else still holds the pipe.  BuildError `exec-failed` when the program
    cannot be executed, `runtime-failed` when the runtime gives up.
    """
    import subprocess

    log = os.path.join(bundle, "log")
    command = runtime.arguments(state, log)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            [*command, "run", "--no-new-keyring", "--bundle", bundle, name],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env={"PATH": os.defpath},
            cwd="/",
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        stopped = _follow(process, reading, on_output, stop)
    except BaseException:
        _kill(command, name, process)
        raise
    finally:
        os.close(reading)
    if stopped:
        _kill(command, name, process)
        raise Stopped
    status = process.wait()
    if status:
        tell_apart(log)
    return status if status >= 0 else 128 - status


def _follow(
    process: "subprocess.Popen[bytes]",
    reading: int,
    on_output: Callable[[bytes], None],
    stop: Callable[[], bool],
) -> bool:
    """Pass output on until the process has ended (False) or is to be stopped (True)."""
    os.set_blocking(reading, False)
    ended = os.pidfd_open(process.pid)
    try:
        watched = select.poll()
        watched.register(reading, select.POLLIN)
        watched.register(ended, select.POLLIN)
        while True:
            ready = dict(watched.poll(_PATIENCE_MS))
            if reading in ready and not _pass_on(reading, on_output):
                watched.unregister(reading)
            if ended in ready:
                while _pass_on(reading, on_output):
                    pass
                return False
            if stop():
                return True
    finally:
        os.close(ended)


def _pass_on(reading: int, on_output: Callable[[bytes], None]) -> bool:
    """Hand one piece of output on; False if there is none now."""
    try:
        data = os.read(reading, _CHUNK)
    except BlockingIOError:
        return False
    if data:
        on_output(data)
    return bool(data)


def _kill(command: list[str], name: str, process: "subprocess.Popen[bytes]") -> None:
    import subprocess

    # The runtime may be before the point where it knows the container: ask until it has ended.
    for _ in range(200):
        subprocess.run(
            [*command, "kill", name, "KILL"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        try:
            process.wait(0.05)
            break
        except subprocess.TimeoutExpired:
            continue
    else:
        process.kill()
        process.wait()
    subprocess.run(
        [*command, "delete", "--force", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def tell_apart(log: str) -> None:
    """Raise what the runtime logged; nothing if it logged nothing, so the status is the process's own."""
    lines = _content(log)[:_LONGEST_LOG].decode("utf-8", "replace").splitlines()
    messages = [m for line in lines if (m := _message(line))]
    if not messages:
        return
    message = messages[-1]
    if any(sign in message.lower() for sign in _NO_PROGRAM):
        raise BuildError("exec-failed", f"the program cannot be executed: {message}", exit_status=1)
    raise BuildError("runtime-failed", f"the OCI runtime failed: {message}", exit_status=1)


def _message(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        # crun: a time, a colon, and the text.
        return line.partition("Z: ")[2] or line.strip()
    if not isinstance(entry, dict) or entry.get("level") in ("debug", "info", "warning"):
        return ""
    return str(entry.get("msg", ""))


def seccomp_program(runtime: Runtime, *, state: str, bundle: str, name: str) -> bytes:
    """The program that crun makes of a bundle's seccomp profile; empty if it does not say.

    The container is created for it, never started, and removed.
    """
    import subprocess

    command = runtime.arguments(state, os.path.join(bundle, "log"))
    quiet = subprocess.DEVNULL
    create = [*command, "create", "--no-new-keyring", "--bundle", bundle, name]
    subprocess.run(create, stdin=quiet, stdout=quiet, stderr=quiet, check=False)
    program = _content(os.path.join(state, name, "seccomp.bpf"))
    delete = [*command, "delete", "--force", name]
    subprocess.run(delete, stdin=quiet, stdout=quiet, stderr=quiet, check=False)
    return program


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


def never() -> bool:
    """A `stop` that lets a process run."""
    return False


def when_set(event: threading.Event | None) -> Callable[[], bool]:
    """A `stop` that obeys an event."""
    return never if event is None else event.is_set
