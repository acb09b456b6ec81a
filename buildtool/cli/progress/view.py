"""What every view is: an observer that is opened, told the result, and closed."""

from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from buildtool.cli.progress.output import that_matters
from buildtool.cli.progress.wording import cut, plural, seconds, size
from buildtool.diag import BuildError
from buildtool.executor.api import BuiltImage, BuiltIndex
from buildtool.executor.progress import Progress


@dataclass(frozen=True, slots=True)
class Summary:
    """How a build ended well: `names` and `written` belong to the images in their order."""

    images: tuple[BuiltImage, ...]
    names: tuple[str, ...]
    written: tuple[str, ...]
    executed: int
    cached: int
    seconds: float
    indexes: tuple[BuiltIndex, ...] = ()
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
    for image in summary.images:
        rows.append(f"{image.manifest}  {image.platform}{'' if image.hermetic else '  not hermetic'}")
        rows += [
            f"  {size(layer.size):>8}  {cut(layer.title or 'base', width - 12)}" for layer in image.layers
        ]
        total = sum(layer.size for layer in image.layers)
        rows.append(f"  {size(total):>8}  in {plural(len(image.layers), 'layer')}")
    for index in summary.indexes:
        platforms = ", ".join(str(image.platform) for image in index.images)
        rows.append(f"{index.digest}  index of {platforms}")
    rows += [f"named {name}" for name in summary.names]
    rows += [f"wrote {place}" for place in summary.written]
    rows += [f"pushed {name}" for name in summary.pushed]
    steps = f"{plural(summary.executed, 'step')} executed, {summary.cached} from the cache"
    rows.append(f"{steps}, {seconds(summary.seconds)}")
    return rows
