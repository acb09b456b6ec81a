"""A rule on Starlark files: what it finds in the facts of one, and how it can be mended."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from buildtool.frontends.starlark.lint.scopes import Names, names_of
from buildtool.frontends.starlark.syntax import tree as t

#: A `warning` is about what is wrong or will be; a `note` about what could be said better.
Severity: TypeAlias = Literal["warning", "note"]


@dataclass(slots=True)
class Facts:
    """What a rule looks at: a file's tree and names; `package` is whether it is a BUILD file.

    `builtins` are the names that are there without a load(), `rules` those of the shipped
    files, with the file.
    """

    file: t.File
    package: bool
    builtins: frozenset[str]
    rules: Mapping[str, str]
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = names_of(self.file)

    def functions(self) -> Iterator[t.Def]:
        """All functions, nested ones too."""
        return (node for node in t.walk(self.file) if isinstance(node, t.Def))

    def bodies(self) -> Iterator[list[t.Node]]:
        """Every list of statements."""
        for node in t.walk(self.file):
            if isinstance(node, t.File | t.Def | t.For | t.Branch):
                yield node.body
            elif isinstance(node, t.If):
                yield node.other


@dataclass(frozen=True, slots=True)
class Broken:
    """One place that breaks a rule: `fix` says what to do here, where that is more than the rule says."""

    start: t.Place
    end: t.Place
    message: str
    fix: str = ""


def broken(node: t.Node, message: str, fix: str = "") -> Broken:
    """A node that breaks a rule."""
    return Broken(node.start, node.end, message, fix)


Check: TypeAlias = Callable[[Facts], Iterator[Broken]]
#: Mends a file's tree in place, where that cannot change what the file means; lines of these places stay.
Mend: TypeAlias = Callable[[Facts, Callable[[t.Place], bool]], None]


def as_formatted(facts: Facts, kept: Callable[[t.Place], bool]) -> None:
    """The mending of what formatting puts right anyway."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and all that its page says: `about` is one sentence, `why` a paragraph, `fix` what to do.

    `bad` and `good` are Starlark files, of a library where `library` says so.
    """

    name: str
    severity: Severity
    about: str
    why: str
    fix: str
    bad: str
    good: str
    check: Check
    mend: Mend | None = None
    library: bool = False
    experimental: bool = False

    @property
    def page(self) -> str:
        """Where the rule is explained, from the root of the repository."""
        return f"docs/manual/lint/starlark/{self.name}.md"
