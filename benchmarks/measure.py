"""The cost of a command: wall time, processor time and memory of it and of all that it started."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Seconds after which a command of a benchmark is taken for stuck.
PATIENCE = 600


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall and processor time in seconds; `peak` is the largest resident set of any one process, in MB."""

    wall: float
    cpu: float
    peak: float

    def then(self, other: "Cost") -> "Cost":
        """The cost of doing one thing and then another."""
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.peak, other.peak))


class CommandFailed(Exception):
    """A command of a benchmark did not succeed; the text is what it wrote."""


def cost_of(argv: Sequence[str], env: Mapping[str, str], log: str) -> Cost:
    """Run a command to its end, its output going to the file `log`.

    Costs are those of the command and of every descendant that was waited for.
    Raises CommandFailed.
    """
    with open(log, "wb") as out:
        begun = time.monotonic()
        process = subprocess.Popen(
            ["timeout", str(PATIENCE), *argv], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        with open(log, encoding="utf-8", errors="replace") as said:
            raise CommandFailed(f"{' '.join(argv)} ended with {process.returncode}:\n{said.read()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself; for memory the largest, since a budget holds always."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        max(c.peak for c in costs),
    )
