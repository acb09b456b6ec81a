"""The report of a run: medians of ours and of buildah, their ratio, and the budgets."""

from collections.abc import Mapping, Sequence

from benchmarks.measure import Cost, median
from benchmarks.workloads import Workload

_COLUMNS = ("workload", "", "wall s", "cpu s", "peak MB", "budget", "of it", "ours/buildah")
_WIDTHS = (8, 10, 8, 8, 8, 9, 6, 13)

#: The costs of a workload's rounds, by the builder's name.
Rounds = Mapping[str, Sequence[Cost]]


def heading() -> str:
    """The first line of the table."""
    return _row(*_COLUMNS)


def rows(workload: Workload, rounds: Rounds) -> list[str]:
    """The lines of one workload: its title, and a line for each builder."""
    medians = {name: median(costs) for name, costs in rounds.items()}
    found = [f"-- {workload.title}"]
    for name, cost in medians.items():
        budget, share = _budget(workload, cost) if name == "buildtool" else ("", "")
        others = [c for n, c in medians.items() if n != name]
        ratio = f"{cost.wall / others[0].wall:.2f}" if name == "buildtool" and others else ""
        figures = (f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.peak:.0f}")
        found.append(_row(workload.name, name, *figures, budget, share, ratio))
    return found


def within(workload: Workload, rounds: Rounds) -> bool:
    """Whether ours kept the budgets."""
    ours = median(rounds["buildtool"])
    in_time = workload.seconds is None or ours.wall <= workload.seconds
    return in_time and (workload.megabytes is None or ours.peak <= workload.megabytes)


def _budget(workload: Workload, cost: Cost) -> tuple[str, str]:
    if workload.seconds is not None:
        return f"{workload.seconds:g} s", f"{cost.wall / workload.seconds:.0%}"
    if workload.megabytes is not None:
        return f"{workload.megabytes:g} MB", f"{cost.peak / workload.megabytes:.0%}"
    return "", ""


def _row(*cells: str) -> str:
    text = [c.ljust(w) if n < 2 else c.rjust(w) for n, (c, w) in enumerate(zip(cells, _WIDTHS, strict=True))]
    return " ".join(text).rstrip()
