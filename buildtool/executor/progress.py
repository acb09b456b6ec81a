"""Progress as an observer: what a build tells while it goes on.  The core never prints."""

from collections.abc import Sequence
from dataclasses import dataclass

from buildtool.diag import BuildError, Span, Warned


@dataclass(frozen=True, slots=True)
class StepInfo:
    """A step as people see it; `number` counts from 0 in the order of the plan.

    `kind` is the step's class name in lower case (`run`, `fileop`, `localsource`,
    `imagesource`, `fetchsource`, `image`, ...); `title` is one line.
    """

    number: int
    kind: str
    title: str
    stage: str = ""
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a step ended: taken from the cache or carried out; `seconds` of work; bytes of its layer."""

    cached: bool
    seconds: float = 0.0
    size: int | None = None
    mended: tuple[str, ...] = ()


class Progress:
    """Every method does nothing; an observer overrides those that it cares for.

    Methods are called from several threads, but never two at once.
    """

    def planned(self, steps: Sequence[StepInfo]) -> None:
        """The steps of the build are known."""

    def started(self, step: StepInfo) -> None:
        """Work on a step begins."""

    def output(self, step: StepInfo, data: bytes) -> None:
        """A process of the step wrote to its standard output or error."""

    def advanced(self, step: StepInfo, phase: str, done: int, total: int | None) -> None:
        """A long operation of a step (`download`, `unpack`, `compress`) went on; both in bytes."""

    def finished(self, step: StepInfo, how: Finished) -> None:
        """The step has its result."""

    def failed(self, step: StepInfo, error: BuildError) -> None:
        """The step failed; the build will end with this error."""

    def warned(self, warning: Warned) -> None:
        """Something that does not stop the build deserves attention."""
