"""File operations that take archives of other people's making apart, and put files together.

They are values of the graph, as the others are: every field is part of the identity
of the step that holds them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildtool.graph.model import Step


@dataclass(frozen=True, slots=True, eq=False)
class UnpackArchiveAction:
    """Unpack the one archive of the source (tar, packed or not, or zip) in the folder `dest`.

    All of it belongs to 0:0.  `strip` is the folder of the archive whose content is
    taken, the rest is left out; `*` as one of its components stands for any name.
    With `plain`, files are 0644 or 0755, folders 0755, and times are the epoch;
    without, both are the archive's.  `executable` are files in `dest` that are 0755
    whatever the archive says.
    """

    source: "Step"
    dest: str
    strip: str = ""
    plain: bool = False
    executable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _absolute(self.dest)


@dataclass(frozen=True, slots=True, eq=False)
class UnpackWheelAction:
    """Install the one wheel of the source, running nothing of it.

    `prefix` is laid out as a virtual environment of the Python `python` (`3.11`).
    """

    source: "Step"
    prefix: str
    python: str

    def __post_init__(self) -> None:
        _absolute(self.prefix)


@dataclass(frozen=True, slots=True, eq=False)
class JoinAction:
    """Make the file `dest` of the content of all files that `paths` (patterns) of a source match.

    They follow one another in the bytewise order of their paths, each ending with a line end.
    """

    source: "Step"
    paths: tuple[str, ...]
    dest: str
    mode: int = 0o644

    def __post_init__(self) -> None:
        _absolute(self.dest)


def _absolute(path: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"not true of this step: {path!r} is an absolute path")
