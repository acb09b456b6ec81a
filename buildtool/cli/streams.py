"""Our standard streams where they are closed, full, or read by nobody any more."""

import io
import os
import sys
from typing import TextIO, cast

from buildtool.diag import BuildError


def prepare() -> None:
    """Let writing to a full stream be an error of its own, and streams that are closed lead nowhere.

    No file of ours may take the number of a closed one: a program that we start would write there.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDWR), "r")
    sys.stdout = _prepared(sys.stdout, "standard output")
    sys.stderr = _prepared(sys.stderr, "standard error")


def stop_writing() -> None:
    """Nobody reads our output any more: nothing may be written to it, not even at exit."""
    _lead_nowhere(sys.stdout.fileno())


def _prepared(stream: TextIO | None, title: str) -> TextIO:
    if stream is None:
        return os.fdopen(os.open(os.devnull, os.O_RDWR), "w")
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), title)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=cast(io.TextIOWrapper, stream).line_buffering,
    )


class _Output(io.FileIO):
    """A stream that says once that it takes no more, then swallows all.

    BuildError `output-failed`; BrokenPipeError where nobody reads it.
    """

    def __init__(self, number: int, title: str) -> None:
        super().__init__(number, "w", closefd=False)
        self._title = title

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as fault:
            # What stays in the buffer is written again at exit.
            _lead_nowhere(self.fileno())
            if isinstance(fault, BrokenPipeError):
                raise
            raise BuildError(
                "output-failed", f"{self._title} cannot be written: {fault.strerror}", exit_status=1
            ) from None


def _lead_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
