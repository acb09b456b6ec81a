"""The output of steps, cut into lines that are safe to show on a terminal or in a log."""

import re
from collections import deque

from buildtool.cli.progress.wording import printable
from buildtool.executor.progress import StepInfo

#: A line longer than this many bytes is shown in pieces.
LONGEST_LINE = 8192
#: The lines of a step that are remembered for the moment it fails.
REMEMBERED = 500

#: Colours, cursor movements, titles: what programs write to a terminal besides text (ECMA-48).
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # strings: titles, links, device control
    r"|\x1b[ -/]*[0-~]"  # other escapes
)
_TELLING = re.compile(
    r"\b(?:error|fatal|failed|failure|cannot|can't|unable|not found|no such|denied|undefined)\b"
    r"|^E: ",
    re.IGNORECASE,
)


def neutral(line: bytes) -> str:
    """One line as it may be shown.

    Terminal sequences are dropped, of a line that was overwritten (`\\r`) the last state is
    kept, tabs are spaces, and every other control character is escaped.
    """
    text = line.decode("utf-8", "replace")
    if "\r" in text:
        states = [s for s in text.split("\r") if s.strip()]
        text = states[-1] if states else ""
    if "\x1b" in text:
        text = _SEQUENCES.sub("", text)
    return printable(text.expandtabs(8)).rstrip()


class Lines:
    """Gathers a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > LONGEST_LINE:
            whole.append(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest = rest
        return [neutral(line) for line in whole]

    def end(self) -> list[str]:
        """The line that was not ended, if there is one."""
        rest, self._rest = self._rest, b""
        return [neutral(rest)] if rest else []

    def begun(self) -> str:
        """The line that is being written."""
        return neutral(self._rest) if self._rest else ""


class Outputs:
    """The output of each running step: complete lines as they come, and the last of them."""

    def __init__(self) -> None:
        self._lines: dict[int, Lines] = {}
        self._last: dict[int, deque[str]] = {}

    def feed(self, step: StepInfo, data: bytes) -> list[str]:
        """Take what a step wrote; the lines that are complete now."""
        lines = self._lines.setdefault(step.number, Lines()).feed(data)
        self._last.setdefault(step.number, deque(maxlen=REMEMBERED)).extend(lines)
        return lines

    def end(self, step: StepInfo) -> list[str]:
        """The step writes no more; its unfinished last line."""
        lines = self._lines.pop(step.number, Lines()).end()
        self._last.setdefault(step.number, deque(maxlen=REMEMBERED)).extend(lines)
        return lines

    def last(self, step: StepInfo, count: int) -> list[str]:
        """The last lines, with the one that is being written."""
        kept = list(self._last.get(step.number, ()))
        begun = self._lines[step.number].begun() if step.number in self._lines else ""
        return ([*kept, begun] if begun else kept)[-count:]

    def forget(self, step: StepInfo) -> None:
        """The step is done and its lines are not needed any more."""
        self._lines.pop(step.number, None)
        self._last.pop(step.number, None)


def that_matters(text: str, most: int = 20) -> str:
    """The part of a failed step's output that tells why: its end, and earlier lines that speak of errors."""
    lines = [neutral(row.encode("utf-8", "surrogateescape")) for row in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) <= most:
        return "\n".join(lines)
    end = lines[-most:]
    if any(_TELLING.search(row) for row in end):
        return "\n".join(["…", *end])
    earlier = [i for i, row in enumerate(lines[:-most]) if _TELLING.search(row)][:5]
    if not earlier:
        return "\n".join(["…", *end])
    return "\n".join(["…", *(lines[i] for i in earlier), "…", *end[5:]])
