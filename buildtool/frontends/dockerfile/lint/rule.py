"""A rule: a name, what it means, and a pure function that finds where a Dockerfile breaks it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from buildtool.frontends.dockerfile.lint.facts import Facts
from buildtool.frontends.dockerfile.tree import Place

#: A `warning` is one of BuildKit's checks; a `note` is ours, on what makes two builds differ.
Severity: TypeAlias = Literal["warning", "note"]


@dataclass(frozen=True, slots=True)
class Broken:
    """One place that breaks a rule: `fix` says what to do here, where that is more than the rule says."""

    at: Place
    message: str
    fix: str = ""


Check: TypeAlias = Callable[[Facts], Iterator[Broken]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and all that its page says.

    `about` is one sentence, `why` a paragraph or several, `fix` what to do in general;
    `bad` and `good` are Dockerfiles.  An experimental rule is off unless it is asked for.  Comments
    above an instruction do not reach a rule on the `whole` file.
    """

    name: str
    severity: Severity
    about: str
    why: str
    fix: str
    bad: str
    good: str
    check: Check
    experimental: bool = False
    whole: bool = False

    @property
    def page(self) -> str:
        """Where the rule is explained, from the root of the repository."""
        return f"docs/manual/lint/{self.name}.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken somewhere."""

    rule: Rule
    at: Place
    message: str
    fix: str

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Line and column of the beginning and of the end, from 1."""
        return self.at
