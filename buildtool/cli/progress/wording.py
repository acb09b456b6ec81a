"""How times, sizes and steps are put into words, the same in every view."""

from collections.abc import Sequence

from buildtool.executor.progress import Finished, StepInfo


def seconds(value: float) -> str:
    """`0.3s`, `12.0s`, `3m05s`, `1h02m`."""
    if value < 59.95:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def size(value: int) -> str:
    """Bytes in decimal units, three digits that count: `512 B`, `1.23 kB`, `45.6 MB`."""
    if value < 1000:
        return f"{value} B"
    amount, units = value / 1000, ["kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:.{digits}f} {units[0]}"


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def cut(text: str, width: int) -> str:
    """The text in one line of at most `width` characters, an ellipsis where it was longer."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"


#: Steps that make layers: those that are counted.
LAYERED = ("fileop", "run")
#: Steps whose size is what was transferred, not what they made.
MOVED = ("fetchsource", "imagesource", "pull", "push")
#: Steps that have a place of their own in a stage.
_OF_STAGES = ("imagesource", *LAYERED)


def worth_telling(step: StepInfo, how: Finished) -> bool:
    """Whether the end of a step is news: sources that needed no work are none."""
    return not how.cached or step.kind in LAYERED


class Names:
    """The names of the steps of one build: `[stage 2/4] RUN apt-get update`."""

    def __init__(self) -> None:
        self._place: dict[int, str] = {}

    def plan(self, steps: Sequence[StepInfo]) -> None:
        """Learn how many steps each stage has."""
        of_stage: dict[str, list[int]] = {}
        for step in steps:
            if step.stage and step.kind in _OF_STAGES:
                of_stage.setdefault(step.stage, []).append(step.number)
        for stage, numbers in of_stage.items():
            for place, number in enumerate(numbers, 1):
                self._place[number] = f"[{stage} {place}/{len(numbers)}] "

    def of(self, step: StepInfo) -> str:
        """The name of a step in one line, free of control characters."""
        title = " ".join(step.title.split())
        if step.number in self._place:
            return printable(self._place[step.number] + title)
        if step.kind in ("localsource", "literalsource") and step.stage:
            return printable(f"[{step.stage}] files for {title}")
        return printable(f"[{step.stage}] {title}" if step.stage else title)


def printable(text: str) -> str:
    """The text with control characters, and whatever else does not print, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
