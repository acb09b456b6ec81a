"""What every view is: an observer that is opened, told the result, and closed."""

from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from buildtool.cli.progress.output import that_matters
from buildtool.cli.progress.wording import cut, plural, seconds, size
from buildtool.diag import BuildError
from buildtool.executor.api import BuiltImage, BuiltIndex, Result
from buildtool.executor.progress import Progress


@dataclass(frozen=True, slots=True)
class Summary:
    """How a build ended well: its results, each with the name of its target (empty for a Dockerfile)."""

    results: tuple[tuple[str, Result], ...]
    names: tuple[str, ...]
    written: tuple[str, ...]
    executed: int
    cached: int
    seconds: float
    pushed: tuple[str, ...] = ()


class View(Progress):
    """A progress that has a beginning and an end."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, BuildError) and error.output:
            error.output = that_matters(error.output)

    def close(self) -> None:
        """Leave the stream as it was found."""

    def summary(self, summary: Summary) -> None:
        """The build ended well."""


def closing(summary: Summary, width: int = 100) -> list[str]:
    """The closing lines of a build: digest, names, layers with their sizes, and how it went."""
    rows: list[str] = []
    for target, result in summary.results:
        ending = f"  {target}" if len(summary.results) > 1 else ""
        for image in result.images:
            rows += _image(image, "" if isinstance(result, BuiltIndex) else ending, width)
        if isinstance(result, BuiltIndex):
            platforms = ", ".join(str(image.platform) for image in result.images)
            rows.append(f"{result.digest}  index of {platforms}{ending}")
    rows += [f"named {name}" for name in summary.names]
    rows += [f"wrote {place}" for place in summary.written]
    rows += [f"pushed {name}" for name in summary.pushed]
    steps = f"{plural(summary.executed, 'step')} executed, {summary.cached} from the cache"
    rows.append(f"{steps}, {seconds(summary.seconds)}")
    return rows


def _image(image: BuiltImage, ending: str, width: int) -> list[str]:
    rows = [f"{image.manifest}  {image.platform}{ending}{'' if image.hermetic else '  not hermetic'}"]
    rows += [f"  {size(layer.size):>8}  {cut(layer.title or 'base', width - 12)}" for layer in image.layers]
    total = sum(layer.size for layer in image.layers)
    return [*rows, f"  {size(total):>8}  in {plural(len(image.layers), 'layer')}"]
