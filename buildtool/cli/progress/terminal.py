"""The view for a person at a terminal: finished steps scroll by, running ones are drawn live below them.

The live part needs rich, which takes a while to import: it is imported by the drawing
thread, and only when a step has run long enough to be worth a picture.  A build that
finds everything in the cache never pays for it.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from buildtool.cli.progress.output import Outputs
from buildtool.cli.progress.view import Summary, View, closing
from buildtool.cli.progress.wording import LAYERED, Names, cut, seconds, worth_telling
from buildtool.diag import COLOUR, PLAIN, BuildError, Warned, render
from buildtool.executor.progress import Finished, StepInfo

if TYPE_CHECKING:
    from rich.live import Live

#: Seconds that a step runs before a live picture is drawn, and between two pictures.
PATIENCE = 0.15
INTERVAL = 0.1
#: Seconds from which a download leaves a line behind: a build may have hundreds.
LONG = 5.0

_GREEN, _RED, _DIM, _BOLD, _RESET = "\x1b[32m", "\x1b[1;31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"


@dataclass
class Running:
    """A step at work: when it began, and how far its phases are (`done`, `total`, in bytes)."""

    step: StepInfo
    name: str
    begun: float
    phases: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def going_on(self) -> dict[str, tuple[int, int | None]]:
        """The phases that are not done."""
        return {p: (d, t) for p, (d, t) in self.phases.items() if t is None or d < t}


class Terminal(View):
    """One lock guards all state; the drawing thread holds it while it draws."""

    def __init__(self, out: TextIO, *, colour: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out)
        self.colour = colour
        self.clock = clock
        self.names = Names()
        self.outputs = Outputs()
        self.running: dict[int, Running] = {}
        self.total = self.executed = self.cached = 0
        self.begun = clock()
        self._lock = threading.RLock()
        self._end = threading.Event()
        self._drawer: threading.Thread | None = None
        self._live: Live | None = None
        self.unicode = "utf" in (getattr(out, "encoding", None) or "").lower()

    # ------------------------------------------------------------ events

    def planned(self, steps: Sequence[StepInfo]) -> None:
        with self._lock:
            self.names.plan(steps)
            self.total = sum(s.kind in LAYERED for s in steps)

    def started(self, step: StepInfo) -> None:
        with self._lock:
            self.running[step.number] = Running(step, self.names.of(step), self.clock())
            if self._drawer is None:
                self._drawer = threading.Thread(target=self._draw, name="progress", daemon=True)
                self._drawer.start()

    def output(self, step: StepInfo, data: bytes) -> None:
        with self._lock:
            self.outputs.feed(step, data)

    def advanced(self, step: StepInfo, phase: str, done: int, total: int | None) -> None:
        with self._lock:
            if step.number in self.running:
                self.running[step.number].phases[phase] = (done, total)

    def finished(self, step: StepInfo, how: Finished) -> None:
        with self._lock:
            self.running.pop(step.number, None)
            self.outputs.forget(step)
            if not worth_telling(step, how) or (step.kind == "fetchsource" and how.seconds < LONG):
                return
            name = self.names.of(step)
            if how.cached:
                self.cached += 1
                self._print("·", name, "cached", _DIM)
            else:
                self.executed += step.kind in LAYERED
                self._print("✓", name, seconds(how.seconds), _GREEN)

    def failed(self, step: StepInfo, error: BuildError) -> None:
        with self._lock:
            self.running.pop(step.number, None)
            self.outputs.end(step)
            if not error.output:
                error.output = "\n".join(self.outputs.last(step, 200))
            self._print("✗", self.names.of(step), "failed", _RED)

    def warned(self, warning: Warned) -> None:
        with self._lock:
            self._write(render(warning, COLOUR if self.colour else PLAIN))

    def summary(self, summary: Summary) -> None:
        self.close()
        rows = closing(summary, self._width())
        self._write("")
        for row in rows:
            self._write(self._tint(row, _BOLD) if row.startswith("sha256:") else row)

    def close(self) -> None:
        self._end.set()
        if self._drawer is not None and self._drawer is not threading.current_thread():
            self._drawer.join()
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    # ------------------------------------------------------------ drawing

    def tail(self, step: StepInfo, count: int) -> list[str]:
        """The last lines of a step's output that are not empty."""
        return [row for row in self.outputs.last(step, count * 3) if row][-count:] if count > 0 else []

    def _draw(self) -> None:
        while not self._end.wait(INTERVAL):
            with self._lock:
                if self._live is None and self._worth_it():
                    self._live = self._make_live()
                    self._live.start()
                if self._live is not None:
                    self._live.refresh()

    def _worth_it(self) -> bool:
        now = self.clock()
        return any(now - r.begun >= PATIENCE for r in self.running.values())

    def _make_live(self) -> "Live":
        from rich.console import Console
        from rich.live import Live

        from buildtool.cli.progress.picture import picture

        console = Console(
            file=self.out,
            force_terminal=True,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
        )
        return Live(
            console=console,
            get_renderable=lambda: picture(self, console.size.height),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _print(self, mark: str, name: str, end: str, tint: str) -> None:
        """A line that stays: `✓ [stage 2/4] RUN make      1.2s`."""
        if not self.unicode:
            mark = {"✓": "+", "·": "-", "✗": "!"}[mark]
        room = max(self._width() - len(end) - 6, 20)
        text = cut(name, room) if self.unicode else name[:room]
        quiet = tint if tint is _DIM else ""
        self._write(
            f"{self._tint(mark, tint)} {self._tint(text.ljust(room), quiet)}  {self._tint(end, _DIM)}"
        )

    def _tint(self, text: str, tint: str) -> str:
        return f"{tint}{text}{_RESET}" if self.colour and tint else text

    def _write(self, text: str) -> None:
        if self._live is None:
            self.out.write(text + "\n")
            self.out.flush()
        else:
            from rich.text import Text

            self._live.console.print(Text.from_ansi(text), no_wrap=True, crop=True)

    def _width(self) -> int:
        try:
            columns = os.get_terminal_size(self.out.fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 0
        return columns or 80
