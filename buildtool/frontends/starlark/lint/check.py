"""A whole check of a Starlark file, and the mending of what can be mended.

`# buildifier: disable=NAME` in a comment at a statement, an argument or an item turns a
rule off for all lines of that.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from buildtool.diag import BuildError, Span, Warned
from buildtool.frontends.starlark.formatting.format import deep
from buildtool.frontends.starlark.formatting.printer import Printer
from buildtool.frontends.starlark.formatting.rewrite import rewrite
from buildtool.frontends.starlark.labels import BUILD_FILE
from buildtool.frontends.starlark.lint.known import known_names, shipped_rules
from buildtool.frontends.starlark.lint.registry import RULES
from buildtool.frontends.starlark.lint.rule import Broken, Facts, Rule
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.parse import parsed

_DISABLE = re.compile(r"buildifier: disable=([\w, -]+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken somewhere; `at` is the span with its line."""

    rule: Rule
    at: Span
    message: str
    fix: str

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Line and column of the beginning and of the end, from 1."""
        return self.at.line, self.at.column, self.at.end_line, self.at.end_column


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; errors are those of a file that cannot be read as Starlark."""

    filename: str
    findings: tuple[Finding, ...] = ()
    errors: tuple[BuildError, ...] = ()
    language: str = field(default="Starlark", init=False)

    def warned(self) -> list[Warned]:
        """The findings as a person sees them."""
        return [Warned(f.rule.name, f.message, f.at, f.fix, severity=f.rule.severity) for f in self.findings]


def check(data: bytes, filename: str) -> Checked:
    """Check a file; a name that ends in BUILD.star makes it the file of a package."""
    with deep():
        try:
            file, text = parsed(data, filename)
        except BuildError as error:
            return Checked(filename, errors=(error,))
        facts = _facts(file, filename)
        disabled = _Disabled(file)
        rows = text.split("\n")
        found = [
            Finding(rule, _span(filename, one, rows), one.message, one.fix or rule.fix)
            for rule in RULES
            for one in rule.check(facts)
            if not disabled.at(one.start, rule.name)
        ]
    unique = {(f.place, f.rule.name, f.message): f for f in found}
    return Checked(filename, tuple(unique[key] for key in sorted(unique)))


def mended(data: bytes, filename: str) -> str:
    """A file with what can be mended mended, and formatted; BuildError as for `formatted`."""
    package = posixpath.basename(filename) == BUILD_FILE
    with deep():
        file, _ = parsed(data, filename)
        disabled = _Disabled(file)
        for rule in RULES:
            if rule.mend is not None:
                facts = _facts(file, filename)
                rule.mend(facts, lambda place, name=rule.name: disabled.at(place, name))  # type: ignore[misc]
        rewrite(file, package=package)
        return Printer(package=package).file(file)


def _facts(file: t.File, filename: str) -> Facts:
    return Facts(file, posixpath.basename(filename) == BUILD_FILE, known_names(), shipped_rules())


def _span(filename: str, one: Broken, rows: list[str]) -> Span:
    start, end = one.start, one.end
    return Span(filename, start.line, start.column, end.line, end.column, rows[start.line - 1].rstrip("\r"))


class _Disabled:
    """Which rules are off in which lines."""

    def __init__(self, file: t.File) -> None:
        self._ranges = list(self._read(file))

    def _read(self, file: t.File) -> Iterator[tuple[str, int, int]]:
        for node in t.walk(file):
            for comment in (*node.before, *node.beside, *node.after):
                for names in _DISABLE.findall(comment.text):
                    for name in names.replace(",", " ").split():
                        yield name, min(node.start.line, comment.at.line), node.end.line

    def at(self, place: t.Place, name: str) -> bool:
        """Whether a rule is off at a place."""
        return any(rule == name and first <= place.line <= last for rule, first, last in self._ranges)
