"""The workloads, each with the budget that the project has set for it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import contexts


@dataclass(frozen=True, slots=True)
class Workload:
    """A build to be measured.

    `make` makes its context in an empty folder.  A `warm` one is built once before
    it is measured, the others always with an empty cache.  Of the budgets, seconds
    of wall time and MB of the largest process, at least one is given.
    """

    name: str
    title: str
    make: Callable[[str], None]
    warm: bool = False
    seconds: float | None = None
    megabytes: float | None = None


WORKLOADS = (
    Workload("noop", "a build in which nothing changed", contexts.small, warm=True, seconds=0.25),
    Workload("files", "50,000 files (250 MB) into a compressed layer", contexts.many_files, seconds=3),
    Workload("chain", "100 RUN steps, each over the one before", contexts.chain, seconds=4),
    Workload("large", "a compressed layer of 1 GB", contexts.large, megabytes=300),
)
