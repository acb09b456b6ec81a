"""Attending a process: its streams or its terminal joined with ours, and our signals passed on to it.

Without a terminal the process has pipes, so that it never holds a descriptor of ours: standard
input goes in, standard output and error come out apart.  With one, its terminal's other end is
ours: what is typed goes in raw, and the size of our window is passed on.
"""

import errno
import fcntl
import os
import signal
import socket
import struct
import termios
import threading
import tty
from collections.abc import Callable
from functools import partial
from types import FrameType, TracebackType
from typing import Any

from buildtool.diag import BuildError

#: Signals that are meant for the process.
PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
#: This many interrupts, and the process is killed: it does not listen.
_INSISTING = 3
_CHUNK = 1 << 16
_SIZE = struct.Struct("HHHH")


class Attended:
    """The ends of what joins us with one process; a context manager, which puts our terminal right again.

    `theirs` are descriptors for the process's worker: standard input, output, error and the
    socket for signals; `started` gives them up here.
    """

    def __init__(self, *, interactive: bool, terminal: bool) -> None:
        if interactive and terminal and not os.isatty(0):
            raise BuildError(
                "not-a-terminal",
                "standard input is not a terminal",
                hint="leave out -t to pipe something into the process",
            )
        self.size = _window() if terminal else None
        self._interactive = interactive
        self._pumps: list[threading.Thread] = []
        self._restore: list[Callable[[], Any]] = []
        self._interrupts = 0
        self._faults: list[OSError] = []
        self._master = -1
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = control
        self._outputs: list[tuple[int, int]] = []
        self._input = -1
        self.theirs = (*(self._nothing() if terminal else self._pipes()), theirs.detach())

    def _nothing(self) -> tuple[int, int, int]:
        return (_null(), _null(), _null())

    def _pipes(self) -> tuple[int, int, int]:
        reading, writing = os.pipe2(os.O_CLOEXEC) if self._interactive else (_null(), -1)
        out, theirs_out = os.pipe2(os.O_CLOEXEC)
        err, theirs_err = os.pipe2(os.O_CLOEXEC)
        self._outputs = [(out, 1), (err, 2)]
        self._input = writing
        return reading, theirs_out, theirs_err

    def __enter__(self) -> "Attended":
        for number in PASSED_ON:
            self._handle(number, self._pass_on)
        if self.size is not None:
            self._handle(signal.SIGWINCH, lambda number, frame: self._resize())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pump in self._pumps:
            pump.join()
        for restore in reversed(self._restore):
            restore()
        self._control.close()
        if self._faults and error is None:
            raise BuildError(
                "output-failed",
                f"the output of the process cannot be passed on: {self._faults[0].strerror}",
                exit_status=1,
            )

    def started(self) -> None:
        """The worker has the descriptors: close ours, and let bytes flow."""
        for fd in self.theirs:
            os.close(fd)
        if self.size is not None:
            self._pump(self._join_terminal)
            return
        for source, sink in self._outputs:
            self._pump(partial(self._carry, source, sink))
        if self._interactive:
            self._read_into(self._input)

    def _pump(self, carry: Callable[[], None]) -> None:
        thread = threading.Thread(target=carry, daemon=True)
        thread.start()
        self._pumps.append(thread)

    def _read_into(self, sink: int) -> None:
        # Not waited for: it may be reading what nobody types any more.
        threading.Thread(target=self._carry, args=(0, sink), daemon=True).start()

    def _carry(self, source: int, sink: int) -> None:
        """Carry bytes until there are no more, or nobody takes them; then give up our ends of pipes."""
        try:
            while data := os.read(source, _CHUNK):
                left = memoryview(data)
                while left:
                    left = left[os.write(sink, left) :]
        except OSError as error:
            # A reader that is gone is no error of ours, and a terminal that is gone reads as EIO.
            if error.errno not in (errno.EPIPE, errno.EIO):
                self._faults.append(error)
        finally:
            for fd in (source, sink):
                if fd > 2 and fd != self._master:
                    os.close(fd)

    # ------------------------------------------------------------ the terminal

    def _join_terminal(self) -> None:
        """Wait for the process's terminal, and carry between it and ours until it ends."""
        try:
            _, fds, _, _ = socket.recv_fds(self._control, 1, 1)
        except OSError:
            return
        if not fds:
            return
        self._master = fds[0]
        self._resize()
        if self._interactive:
            before = termios.tcgetattr(0)
            self._restore.append(partial(termios.tcsetattr, 0, termios.TCSADRAIN, before))
            # From here on every key goes to the process as it is, also what was typed meanwhile.
            tty.setraw(0, termios.TCSADRAIN)
            self._read_into(self._master)
        self._carry(self._master, 1)

    def _resize(self) -> None:
        if self._master >= 0:
            rows, columns = _window()
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, _SIZE.pack(rows, columns, 0, 0))

    # ------------------------------------------------------------ signals

    def _handle(self, number: signal.Signals, handler: Callable[[int, FrameType | None], Any]) -> None:
        before = signal.signal(number, handler)
        self._restore.append(partial(signal.signal, number, before))

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts >= _INSISTING:
            number = signal.SIGKILL
        try:
            self._control.send(bytes([number]), socket.MSG_DONTWAIT)
        except OSError:
            pass  # it has just ended


def _window() -> tuple[int, int]:
    """Rows and columns of our terminal; those of a VT100 where there is none."""
    for stream in (0, 1, 2):
        try:
            columns, rows = os.get_terminal_size(stream)
        except OSError:
            continue
        if rows and columns:
            return rows, columns
    return 24, 80


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
