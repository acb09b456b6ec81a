"""A process that a person attends: it has the streams of the person or a terminal, and hears signals.

The runtime creates the container and starts it; its first process is then a child of
ours, since a worker is the first process of its PID namespace, where orphans go.

What a signal does to a process by default, the kernel leaves out for the first process
of a PID namespace.  It is carried out here: a process that neither catches nor ignores
SIGTERM ends by it, with the status that it has elsewhere.
"""

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.sandbox import runtime as runtimes
from buildtool.sandbox.runtime import Runtime

#: How long a process that has caught a signal, and has left it to its default since, may go on: it
#: may be busy ending, or have sent itself the signal, which ends no first process.
_GRACE_MS = 10_000

#: Signals whose default is to end a process, of those that are passed on.
_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})


@dataclass(frozen=True, slots=True)
class Streams:
    """Descriptors of a process, which are closed here once it has them, and of who attends it.

    `control` is a socket of packets: from it come numbers of signals, one byte each, and its
    end means that the process shall be killed; into it goes the descriptor of the terminal.
    """

    stdin: int
    stdout: int
    stderr: int
    control: int


def run(runtime: Runtime, *, state: str, bundle: str, name: str, streams: Streams, terminal: bool) -> int:
    """Run the bundle to its end; its exit status (128 and the number for a signal).

    BuildError `exec-failed` when the program cannot be executed, `runtime-failed` when the
    runtime gives up.
    """
    log, pid_file = os.path.join(bundle, "log"), os.path.join(bundle, "pid")
    command = runtime.arguments(state, log)
    create = [*command, "create", "--no-new-keyring", "--bundle", bundle, "--pid-file", pid_file]
    try:
        try:
            if terminal:
                with _console(bundle) as (listener, path):
                    _call([*create, "--console-socket", path, name], log, None)
                    _hand_on(listener, streams.control)
            else:
                _call([*create, name], log, streams)
        finally:
            for fd in (streams.stdin, streams.stdout, streams.stderr):
                os.close(fd)
        with open(pid_file, encoding="ascii") as f:
            pid = int(f.read())
        return _attend(pid, [*command, "start", name], log, streams.control)
    finally:
        _call([*command, "delete", "--force", name], "", None)


def _attend(pid: int, start: list[str], log: str, control: int) -> int:
    ended = os.pidfd_open(pid)
    try:
        _call(start, log, None)
        return _watch(pid, ended, control)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(ended)


def _watch(pid: int, ended: int, control: int) -> int:
    """Pass signals on until the process has ended; its exit status."""
    watched = select.poll()
    watched.register(ended, select.POLLIN)
    watched.register(control, select.POLLIN)
    heard = _Heard(pid)
    while ended not in (ready := dict(watched.poll(_GRACE_MS if heard.caught else None))):
        if control not in ready:
            heard.end_of_grace()
            continue
        number = (os.read(control, 1) or bytes([signal.SIGKILL]))[0]
        if number == signal.SIGKILL:
            watched.unregister(control)
        heard.send(number)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if heard.ended_by and code == -signal.SIGKILL:
        return 128 + heard.ended_by
    return code if code >= 0 else 128 - code


class _Heard:
    """The signals of a process: `caught` is one that it caught and goes on, `ended_by` what it ends by."""

    def __init__(self, pid: int) -> None:
        self.caught = self.ended_by = 0
        self._pid = pid

    def send(self, number: int) -> None:
        """Let the process have a signal, its default action included."""
        if number not in _ENDING:
            os.kill(self._pid, number)
        elif _leaves_to_default(self._pid, number):
            self._end(number)
        else:
            self.caught = number
            os.kill(self._pid, number)

    def end_of_grace(self) -> None:
        """End a process that has not minded the signal that it caught any more."""
        number, self.caught = self.caught, 0
        if _leaves_to_default(self._pid, number):
            self._end(number)

    def _end(self, number: int) -> None:
        self.ended_by = number
        os.kill(self._pid, signal.SIGKILL)


def _leaves_to_default(pid: int, number: int) -> bool:
    """Whether the process leaves a signal to its default."""
    minded = 0
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            field, _, value = line.partition(":")
            if field in ("SigCgt", "SigIgn"):
                minded |= int(value, 16)
    return not minded >> (number - 1) & 1


@contextmanager
def _console(bundle: str) -> "Iterator[tuple[socket.socket, str]]":
    """A socket for the runtime to send the terminal to, and a short path of it."""
    folder = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            path = f"/proc/{os.getpid()}/fd/{folder}/console"
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(10)
            yield listener, path
    finally:
        os.close(folder)


def _hand_on(listener: socket.socket, control: int) -> None:
    """Pass the terminal's descriptor on from the runtime to who attends."""
    connection, _ = listener.accept()
    with connection, socket.socket(fileno=os.dup(control)) as out:
        _, (terminal,), _, _ = socket.recv_fds(connection, 4096, 1)
        socket.send_fds(out, [b"t"], [terminal])
        os.close(terminal)


def _call(command: list[str], log: str, streams: Streams | None) -> None:
    """Run the runtime; BuildError with what it logged, if it fails and there is a log."""
    import subprocess

    quiet = subprocess.DEVNULL
    done = subprocess.run(
        command,
        stdin=streams.stdin if streams else quiet,
        stdout=streams.stdout if streams else quiet,
        stderr=streams.stderr if streams else quiet,
        env={"PATH": os.defpath},
        cwd="/",
        check=False,
    )
    if done.returncode and log:
        runtimes.tell_apart(log)
        raise BuildError(
            "runtime-failed", f"the OCI runtime failed with exit status {done.returncode}", exit_status=1
        )
