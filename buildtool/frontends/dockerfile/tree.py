"""The typed tree of a Dockerfile: what stands in the file, nothing expanded, nothing resolved.

Every node knows its place.  A tree knows its lines but not the file's name, so
that it can be kept by the content of the file; `File.span` makes a diagnostic's
span of a place.  Trees are written as MessagePack, the same bytes for the same
tree.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from buildtool.address import masked
from buildtool.diag import Span


class Place(NamedTuple):
    """A range of the file; lines and columns count from 1, `end_column` is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Word(msgspec.Struct, frozen=True, array_like=True):
    """One argument as it is written, its quotes and variables included."""

    text: str
    at: Place


class Flag(msgspec.Struct, frozen=True, array_like=True):
    """`--name=value`; the value without its quotes, None where there is no `=`."""

    name: str
    value: str | None
    at: Place


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """`NAME=value`, or of ARG also `NAME` (value None); `old` marks ENV's form with a space."""

    name: str
    value: str | None
    at: Place
    old: bool = False


class Heredoc(msgspec.Struct, frozen=True, array_like=True):
    """A heredoc: its delimiter, and its body with the line ends of the file."""

    name: str
    body: str
    expand: bool
    chomp: bool
    at: Place


class Directive(msgspec.Struct, frozen=True, array_like=True):
    """`# name=value` at the top of the file."""

    name: str
    value: str
    at: Place


class Command(msgspec.Struct, frozen=True, array_like=True):
    """A command: `exec` with its arguments, or `shell` with one text (or none at all)."""

    form: Literal["exec", "shell"]
    words: tuple[str, ...]


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """What all instructions have: the flags, the text as one line, the place of it all."""

    at: Place
    text: str
    flags: tuple[Flag, ...] = ()

    @property
    def name(self) -> str:
        """The instruction's word, in capitals."""
        return type(self).__name__.upper()

    def flag(self, name: str) -> Flag | None:
        """The flag of that name, the last one where there are several."""
        return next((f for f in reversed(self.flags) if f.name == name), None)

    def value(self, name: str) -> str | None:
        """The value of a flag, None where it is not given."""
        found = self.flag(name)
        return None if found is None else found.value

    def true(self, name: str) -> bool:
        """Whether a switch is on."""
        found = self.flag(name)
        return found is not None and (found.value is None or found.value.lower() == "true")


class From(Instruction, frozen=True, tag=True):
    base: Word
    alias: Word | None


class Arg(Instruction, frozen=True, tag=True):
    pairs: tuple[Pair, ...]


class Env(Instruction, frozen=True, tag=True):
    pairs: tuple[Pair, ...]


class Label(Instruction, frozen=True, tag=True):
    pairs: tuple[Pair, ...]


class Run(Instruction, frozen=True, tag=True):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()


class Cmd(Instruction, frozen=True, tag=True):
    command: Command


class Entrypoint(Instruction, frozen=True, tag=True):
    command: Command


class Shell(Instruction, frozen=True, tag=True):
    command: Command


#: The flags of HEALTHCHECK that are durations.
HEALTH_TIMES = ("interval", "timeout", "start-period", "start-interval")


class Healthcheck(Instruction, frozen=True, tag=True):
    """`command` is None for NONE; durations stay flags."""

    command: Command | None


class Copy(Instruction, frozen=True, tag=True):
    """Heredocs among `sources` are words like any other; `heredocs` has their bodies, in order."""

    sources: tuple[Word, ...]
    dest: Word
    heredocs: tuple[Heredoc, ...] = ()


class Add(Instruction, frozen=True, tag=True):
    """As Copy."""

    sources: tuple[Word, ...]
    dest: Word
    heredocs: tuple[Heredoc, ...] = ()


class Expose(Instruction, frozen=True, tag=True):
    ports: tuple[Word, ...]


class Volume(Instruction, frozen=True, tag=True):
    paths: tuple[Word, ...]


class Workdir(Instruction, frozen=True, tag=True):
    path: Word


class User(Instruction, frozen=True, tag=True):
    user: Word


class Stopsignal(Instruction, frozen=True, tag=True):
    signal: Word


class Maintainer(Instruction, frozen=True, tag=True):
    who: Word


class Onbuild(Instruction, frozen=True, tag=True):
    """`trigger` is the instruction as it is kept in the image, its heredocs included."""

    trigger: str


Node: TypeAlias = (
    Add
    | Arg
    | Cmd
    | Copy
    | Entrypoint
    | Env
    | Expose
    | From
    | Healthcheck
    | Label
    | Maintainer
    | Onbuild
    | Run
    | Shell
    | Stopsignal
    | User
    | Volume
    | Workdir
)


class Stage(msgspec.Struct, frozen=True):
    """A FROM and what follows it."""

    start: From
    body: tuple[Node, ...]


class File(msgspec.Struct, frozen=True):
    """A Dockerfile: what stands before the first FROM, and the stages."""

    escape: str
    lines: tuple[str, ...]
    directives: tuple[Directive, ...]
    empty_continuations: tuple[Place, ...]
    preamble: tuple[Arg, ...]
    stages: tuple[Stage, ...]

    def span(self, filename: str, place: Place) -> Span:
        """A place as a diagnostic shows it."""
        return span_of(filename, self.lines, place)


def span_of(filename: str, lines: Sequence[str], place: Place) -> Span:
    """A place in the file of those lines, as a diagnostic shows it."""
    excerpt = lines[place.line - 1] if place.line <= len(lines) else ""
    return Span(filename, place.line, place.column, place.end_line, place.end_column, printable(excerpt))


def printable(text: str) -> str:
    """The text with U+FFFD for each byte that was no UTF-8, and no login of an address; columns stay."""
    text = masked(text)
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def encode(tree: File) -> bytes:
    """The tree as bytes."""
    return msgspec.msgpack.encode(tree)


def decode(data: bytes) -> File | None:
    """The tree, or None where the bytes are of another version or damaged."""
    try:
        return msgspec.msgpack.decode(data, type=File)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None
