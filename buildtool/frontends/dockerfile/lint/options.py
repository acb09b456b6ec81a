"""`# check=skip=A,B;error=true;experimental=C`: which rules hold for a Dockerfile, and whether they bind.

At the top of the file this is for all of it; in a comment right above an instruction, for that one.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.rule import Rule
from buildtool.frontends.dockerfile.request import Request

#: The build argument that takes the place of the directive.
ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"

#: What Go's ParseBool knows, which BuildKit reads the value of `error` with.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Rules by name; None in `skip` or `experimental` stands for all of them."""

    skip: frozenset[str] | None = frozenset()
    experimental: frozenset[str] | None = frozenset()
    error: bool = False

    def wants(self, rule: Rule) -> bool:
        """Whether the rule is looked at.  As in BuildKit, skipping does not concern experimental rules."""
        if rule.experimental:
            return self.experimental is None or rule.name in self.experimental
        return self.skip is not None and rule.name not in self.skip

    def joined(self, other: "Options") -> "Options":
        """These and what other options skip and turn on."""
        skip, more = (
            None if mine is None or theirs is None else mine | theirs
            for mine, theirs in ((self.skip, other.skip), (self.experimental, other.experimental))
        )
        return Options(skip, more, self.error)


class Places:
    """The options that hold at each place of a file: the file's, and those above an instruction."""

    def __init__(self, file: tree.File, options: Options) -> None:
        self.options = options
        self._starts: list[int] = []
        self._own: list[tuple[int, Options]] = []
        head = max((d.at.line for d in file.directives), default=0)
        commented = any(map(_COMMENT.match, file.lines[head:]))
        for node in _nodes(file) if commented else ():
            first = _first_comment(file.lines, node.at.line, head)
            found = _said(file.lines[first - 1 : node.at.line - 1])
            if found is not None:
                self._starts.append(first)
                self._own.append((node.at.end_line, options.joined(found)))

    def wants(self, rule: Rule) -> bool:
        """Whether the rule is looked at anywhere."""
        return self.options.wants(rule) or any(own.wants(rule) for _, own in self._own)

    def at(self, line: int) -> Options:
        """The options that hold at a line."""
        index = bisect_right(self._starts, line) - 1
        if index < 0 or self._own[index][0] < line:
            return self.options
        return self._own[index][1]


def options_of(file: tree.File, request: Request) -> Options:
    """The options of a build: of the build argument, else of the directive; `bad-check-option`."""
    given = request.build_args.get(ARGUMENT)
    if given is not None:
        return parse_options(given, None)
    for directive in file.directives:
        if directive.name == "check":
            # What stands behind a space is no part of it to BuildKit.
            value = directive.value.split(" ")[0]
            return parse_options(value, file.span(request.filename, directive.at))
    return Options()


def parse_options(text: str, span: Span | None) -> Options:
    """The options that a text says."""
    skip: frozenset[str] | None = frozenset()
    experimental: frozenset[str] | None = frozenset()
    error = False
    for part in text.split(";") if text.strip() else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if key == "skip" and equals:
            skip = _names(value)
        elif key == "experimental" and equals:
            experimental = _names(value)
        elif key == "error" and value in _BOOLEANS:
            error = _BOOLEANS[value]
        else:
            raise BuildError(
                "bad-check-option",
                f'"{part.strip()}" is not an option of checks',
                span=span,
                hint="write skip=NAME,NAME or skip=all, error=true, experimental=NAME; ; stands between them",
            )
    return Options(skip, experimental, error)


def _nodes(file: tree.File) -> Iterator[tree.Instruction]:
    yield from file.preamble
    for stage in file.stages:
        yield stage.start
        yield from stage.body


_COMMENT = re.compile(r"\s*#\s*check\s*=\s*(\S+)", re.I)


def _first_comment(lines: tuple[str, ...], line: int, head: int) -> int:
    """The first of the comments right above a line, the line itself where there are none.

    One that says nothing (`#`) keeps those above it apart, as an empty line does.
    """
    while line > head + 1 and re.match(r"\s*#.*\S", lines[line - 2]):
        line -= 1
    return line


def _said(comments: tuple[str, ...]) -> Options | None:
    """The first options in comments, if there are any and they can be read."""
    found = next(filter(None, map(_COMMENT.match, comments)), None)
    try:
        return parse_options(found[1], None) if found else None
    except BuildError:
        return None


def _names(value: str) -> frozenset[str] | None:
    return None if value == "all" else frozenset(name.strip() for name in value.split(","))
