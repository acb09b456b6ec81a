"""The same build in two worlds, round after round, and the search for what makes a difference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildtool.verify.building import Bench, Outcome
from buildtool.verify.minimal import culprits
from buildtool.verify.perturb import Perturbation, Surroundings, together

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rounds came to.

    `here` is the plain build, `elsewhere` one that differs from it (None: all were alike).
    `causes` are the smallest sets of perturbations that each make a difference, found only
    with bisection; `unsteady` says that no perturbation is needed at all.  `asked` counts builds.
    """

    here: Outcome
    elsewhere: Outcome | None
    asked: int
    causes: tuple[tuple[Perturbation, ...], ...] = ()
    unsteady: bool = False


def verify(
    bench: Bench, perturbations: Sequence[Perturbation], rounds: int, bisect: bool, tell: Tell
) -> Verdict:
    """Build plainly and, `rounds` times, with all perturbations; on a difference look for what makes it."""
    tell("build here")
    here = bench.build(Surroundings())
    asked = 1
    if here.status:
        return Verdict(here, None, asked)
    for number in range(rounds):
        tell("build elsewhere" + (f", round {number + 1}" if rounds > 1 else ""))
        elsewhere = bench.build(together(p.world(number) for p in perturbations), here.store)
        asked += 1
        if not elsewhere.like(here):
            finding = Verdict(here, elsewhere, asked)
            return _explained(bench, perturbations, number, finding, tell) if bisect else finding
        bench.discard(elsewhere)
    return Verdict(here, None, asked)


def _explained(
    bench: Bench, perturbations: Sequence[Perturbation], number: int, found: Verdict, tell: Tell
) -> Verdict:
    asked = found.asked

    def differs(some: Sequence[Perturbation]) -> bool:
        nonlocal asked
        tell(f"build with {', '.join(p.name for p in some) or 'nothing perturbed'}")
        outcome = bench.build(together(p.world(number) for p in some), found.here.store)
        asked += 1
        bench.discard(outcome)
        return not outcome.like(found.here)

    if differs(()):
        return Verdict(found.here, found.elsewhere, asked, unsteady=True)
    causes = culprits(perturbations, differs) if perturbations else []
    return Verdict(found.here, found.elsewhere, asked, tuple(causes))
