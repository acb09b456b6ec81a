"""The view for logs: a line for each event, that reads well without colours or cursor."""

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from buildtool.cli.progress.output import Outputs
from buildtool.cli.progress.view import Summary, View, closing
from buildtool.cli.progress.wording import MOVED, Names, printable, seconds, size, worth_telling
from buildtool.diag import BuildError, Warned, render
from buildtool.executor.progress import Finished, StepInfo

#: Seconds between two lines about one download.
PATIENCE = 5.0
#: Lines of other steps after which a step's heading is repeated.
FAR = 30


class Plain(View):
    """In BuildKit's manner: `#3 [stage 2/4] RUN make`, then `#3 1.234 a line of output`, then `#3 DONE 2.0s`.

    Lines of steps that run side by side mix; a step's heading is written again where it is far up.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out)
        self._clock = clock
        self._names = Names()
        self._outputs = Outputs()
        self._begun: dict[int, float] = {}
        self._told: dict[tuple[int, str], float] = {}
        self._heading: dict[int | str, int] = {}
        self._rows = 0

    def planned(self, steps: Sequence[StepInfo]) -> None:
        self._names.plan(steps)

    def started(self, step: StepInfo) -> None:
        self._begun[step.number] = self._clock()
        # Of the many small files of a build one line each is enough: the last.
        if step.kind != "fetchsource":
            self._say(step)

    def output(self, step: StepInfo, data: bytes) -> None:
        for line in self._outputs.feed(step, data):
            self._say(step, f"{self._since(step):.3f} {line}".rstrip())

    def advanced(self, step: StepInfo, phase: str, done: int, total: int | None) -> None:
        now, key = self._clock(), (step.number, phase)
        finished = total is not None and done >= total
        if key not in self._told:
            self._told[key] = now
        if finished and self._told.pop(key) != now:
            self._say(step, f"{phase} {size(done)} done")
        elif not finished and now - self._told[key] >= PATIENCE:
            self._told[key] = now
            of = f" of {size(total)}" if total else ""
            self._say(step, f"{phase} {size(done)}{of}")

    def finished(self, step: StepInfo, how: Finished) -> None:
        if not worth_telling(step, how):
            return
        if step.kind == "fetchsource" and step.number not in self._heading:
            fetched = f"{size(how.size or 0)}, {seconds(how.seconds)}"
            self._write(f"#{step.number + 1} {self._names.of(step)}: {fetched}")
            return
        self._rest_of(step)
        for mended in how.mended:
            self._say(step, f"mended {printable(mended)}")
        if how.cached:
            self._say(step, "CACHED")
        else:
            what = "" if step.kind in MOVED else "layer of "
            made = f", {what}{size(how.size)}" if how.size is not None else ""
            self._say(step, f"DONE {seconds(how.seconds)}{made}")
        self._outputs.forget(step)

    def failed(self, step: StepInfo, error: BuildError) -> None:
        self._rest_of(step)
        if not error.output:
            error.output = "\n".join(self._outputs.last(step, 200))
        self._say(step, f"ERROR {printable(error.message)}")

    def warned(self, warning: Warned) -> None:
        self._write("\n" + render(warning))

    def summary(self, summary: Summary) -> None:
        self._write("")
        for row in closing(summary):
            self._write(row)

    def _rest_of(self, step: StepInfo) -> None:
        for line in self._outputs.end(step):
            self._say(step, f"{self._since(step):.3f} {line}".rstrip())

    def _since(self, step: StepInfo) -> float:
        now = self._clock()
        return now - self._begun.setdefault(step.number, now)

    def _say(self, step: StepInfo, text: str | None = None) -> None:
        mark = f"#{max(step.number + 1, 0)}"
        # What stands beside the plan has no number of its own.
        place = step.number if step.number >= 0 else step.title
        shown = self._heading.get(place)
        if shown is None or self._rows - shown > FAR:
            self._write(f"\n{mark} {self._names.of(step)}")
        if text is not None:
            self._write(f"{mark} {text}")
        self._heading[place] = self._rows

    def _write(self, text: str) -> None:
        if self._rows == 0:
            text = text.lstrip("\n")
        self._rows += 1
        self.out.write(text + "\n")
        self.out.flush()
