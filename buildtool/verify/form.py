"""What every reader of a file format gives and is given: the shape of a descent into contents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildtool.verify.clues import Clues
from buildtool.verify.model import Confidence, Difference, Finding


class NotOfThisFormError(Exception):
    """The bytes are not of the form that their beginning promised, or are beyond the bounds."""


@dataclass(frozen=True, slots=True)
class Content:
    """How two contents differ: `form` names their format; parts that differ are `inside`."""

    form: str
    findings: tuple[Finding, ...] = ()
    inside: tuple[Difference, ...] = ()
    lines: tuple[str, ...] = ()


#: Compares what is within: kind and name of the part, its bytes on both sides.
Descend = Callable[[str, str, bytes, bytes], Difference]


@dataclass(frozen=True, slots=True)
class Form:
    """A file format: whether bytes begin as it does, and how two of them differ.

    `compare` raises NotOfThisFormError for what is malformed.
    """

    name: str
    matches: Callable[[bytes], bool]
    compare: Callable[[bytes, bytes, Clues, Descend], Content]


def beginning(*magics: bytes) -> Callable[[bytes], bool]:
    """Whether bytes begin with one of these."""
    return lambda data: data.startswith(magics)


def only_in(kind: str, where: str, side: str) -> Difference:
    """That something is on one side alone; `side` is `first` or `second`."""
    finding = Finding("unexplained", f"only in the {side}", Confidence.POSSIBLE)
    shown = ("there", "") if side == "first" else ("", "there")
    return Difference(kind, where, "presence", *shown, (finding,))


def missing(kind: str, first: Sequence[str], second: Sequence[str]) -> list[Difference]:
    """The names that one side alone has."""
    return [
        *(only_in(kind, name, "first") for name in first if name not in set(second)),
        *(only_in(kind, name, "second") for name in second if name not in set(first)),
    ]
