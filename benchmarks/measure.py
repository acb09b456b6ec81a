"""The cost of a command: wall time, processor time and memory of it and of all that it started."""

import json
import statistics
import subprocess
import sys
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


#: Runs a command, its output to standard error, and prints what it cost.  A process of its own,
#: and a small one: Linux counts the memory of who starts a program as that of the program.
_WATCH = """
import json, os, sys, time
begun = time.monotonic()
where = [(os.POSIX_SPAWN_DUP2, 2, 1)]
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=where)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - begun
status = os.waitstatus_to_exitcode(status)
print(json.dumps([status, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""


class CommandFailed(Exception):
    """A command of a benchmark did not succeed; the text is what it wrote."""


def cost_of(argv: Sequence[str], env: Mapping[str, str], log: str) -> Cost:
    """Run a command to its end, its output going to the file `log`.

    Costs are those of the command and of every descendant that was waited for.
    Raises CommandFailed.
    """
    watch = [sys.executable, "-I", "-S", "-c", _WATCH, "timeout", str(PATIENCE), *argv]
    with open(log, "wb") as out:
        done = subprocess.run(watch, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out)
    status, wall, cpu, peak = json.loads(done.stdout)
    if status:
        with open(log, encoding="utf-8", errors="replace") as said:
            raise CommandFailed(f"{' '.join(argv)} ended with {status}:\n{said.read()[-2000:]}")
    return Cost(wall, cpu, peak / 1000)


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself; for memory the largest, since a budget holds always."""
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        max(c.peak for c in costs),
    )
