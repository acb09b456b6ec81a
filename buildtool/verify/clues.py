"""What is known while a file is looked at: both worlds, the file's path, digests that differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from buildtool.verify.model import World

#: An instant this close to a known one, in seconds, is of the same build.
NEAR = 86_400


@dataclass(frozen=True, slots=True)
class Clues:
    """`digests` are those, in any spelling, of contents that differ, and their sizes (`12 bytes`), with the
    path of each.
    """

    first: World = World()
    second: World = World()
    path: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    def at(self, path: str) -> "Clues":
        """The same for another file."""
        return replace(self, path=path)

    @property
    def subject(self) -> str:
        """What the file's name says that it is about: `build-host` of `/etc/build-host.txt`."""
        name = self.path.rstrip("/").rpartition("/")[2]
        stem, dot, extension = name.rpartition(".")
        return stem if dot and stem and len(extension) <= 5 else name


def near(instant: float, world: World) -> str:
    """Which known instant of a world this one belongs to, in words; nothing if to none."""
    if world.window is not None:
        begin, end = world.window
        if begin - 2 <= instant <= end + 2:
            return "while it was built"
    known = [(abs(instant - at), name, at) for name, at in world.instants if abs(instant - at) <= NEAR]
    if not known:
        return ""
    apart, name, at = min(known)
    if apart < 1:
        return f"the second of {name}"
    return f"{_span(apart)} {'after' if instant > at else 'before'} {name}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{int(seconds)} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min"
    return f"{int(seconds // 3600)} h"
