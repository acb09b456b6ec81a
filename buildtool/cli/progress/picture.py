"""The live part of the terminal view: what runs now, drawn with rich."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from buildtool.cli.progress.wording import plural, seconds, size

if TYPE_CHECKING:
    from buildtool.cli.progress.terminal import Running, Terminal

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_SPINNER = "|/-\\"
#: Lines of output under a running step, where there is room for them.
TAIL = 6


def picture(view: "Terminal", height: int) -> RenderableType:
    """Running steps with elapsed times, bars and the end of their output, in at most `height` lines."""
    now = view.clock()
    running = sorted(view.running.values(), key=lambda r: (r.begun, r.step.number))
    room = max(height - 3, 2)
    shown = running[:room]
    hidden = len(running) - len(shown)
    if hidden:
        shown.pop()
        hidden += 1
    spare = room - len(shown) - (1 if hidden else 0)
    rows: list[RenderableType] = []
    for place, entry in enumerate(shown):
        details = _details(view, entry, min(TAIL, spare // (len(shown) - place)))
        spare -= len(details)
        rows.append(_line(view, entry, now))
        rows += [Padding(d, (0, 0, 0, 4)) for d in details]
    if hidden:
        rows.append(Text(f"  … and {hidden} more", style="dim"))
    return Group(*rows, _foot(view, now))


def _line(view: "Terminal", entry: "Running", now: float) -> Table:
    frames = _SPINNER if view.unicode else _PLAIN_SPINNER
    mark = frames[int((now - entry.begun) * 10) % len(frames)]
    return _row(Text(mark, style="cyan"), Text(entry.name), Text(seconds(now - entry.begun), style="dim"))


def _foot(view: "Terminal", now: float) -> Table:
    done = view.executed + view.cached
    of = f" of {view.total}" if view.total else ""
    text = f"{done}{of} steps done" if view.total else plural(done, "step") + " done"
    if view.cached:
        text += f", {view.cached} from the cache"
    return _row(Text(" "), Text(text, style="bold"), Text(seconds(now - view.begun), style="bold"))


def _row(mark: Text, name: Text, end: Text) -> Table:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    row.add_row(mark, name, end)
    return row


def _details(view: "Terminal", entry: "Running", room: int) -> list[RenderableType]:
    bars: list[RenderableType] = [
        _bar(phase, done, total) for phase, (done, total) in entry.going_on().items()
    ][:room]
    tail = view.tail(entry.step, room - len(bars))
    return bars + [Text(row, style="dim", no_wrap=True, overflow="ellipsis") for row in tail]


def _bar(phase: str, done: int, total: int | None) -> RenderableType:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=10, no_wrap=True)
    row.add_column(no_wrap=True)
    row.add_column(no_wrap=True)
    if total:
        share = f"{size(done)} of {size(total)}"
        row.add_row(Text(phase), ProgressBar(total=total, completed=done, width=30), Text(share, style="dim"))
    else:
        row.add_row(Text(phase), Text(size(done), style="dim"), Text(""))
    return row
