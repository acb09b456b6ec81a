"""Queries: expressions over targets, in the language of `bazel query`.

    deps(//app:image) - deps(//base:image)
    kind("image", //...) ^ rdeps(//..., //lib:files)

A word is a label or a pattern.  `+`, `-` and `^` (or `union`, `except`, `intersect`)
bind alike, from left to right.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from buildtool.diag import BuildError, Span, suggestion
from buildtool.frontends.starlark.declared import Target
from buildtool.frontends.starlark.dependencies import Dependencies
from buildtool.frontends.starlark.labels import Label

MAX_NESTING = 100
_TOKEN = re.compile(r"""\s*(?:("[^"]*"|'[^']*')|([-+^(),])|([^\s(),"'^+]+)|(.))""", re.DOTALL)
_OPERATORS = {"+": "+", "union": "+", "-": "-", "except": "-", "^": "^", "intersect": "^"}

#: Targets in the order in which they are shown.
Found: TypeAlias = tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int
    quoted: bool = False


def query(text: str, dependencies: Dependencies) -> Found:
    """The targets that an expression means; BuildError `bad-query` with the place in it."""
    return _Query(text, dependencies).whole()


def attribute(target: Target, name: str) -> str | None:
    """An attribute as the text that `attr()` matches: a text as it is, anything else as JSON."""
    if name not in target.__struct_fields__ or name == "at":
        return None
    value = plain(getattr(target, name))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def plain(value: object) -> object:
    """A declaration as plain data, without the places that it came from."""
    built = msgspec.to_builtins(value)

    def without_places(item: object) -> object:
        if isinstance(item, dict):
            return {k: without_places(v) for k, v in item.items() if k != "at"}
        return [without_places(i) for i in item] if isinstance(item, list | tuple) else item

    return without_places(built)


def kind_of(target: Target) -> str:
    """The name of the primitive that declares targets of this kind."""
    return str(target.__struct_config__.tag)


class _Query:
    """One expression, evaluated while it is read."""

    def __init__(self, text: str, dependencies: Dependencies) -> None:
        self._text = text
        self._graph = dependencies
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._functions: dict[str, Callable[[_Token], Found]] = {
            "deps": self._deps,
            "rdeps": self._rdeps,
            "allpaths": self._allpaths,
            "somepath": self._somepath,
            "kind": self._kind,
            "attr": self._attr,
            "filter": self._filter,
            "set": self._set,
        }

    def whole(self) -> Found:
        found = self._expression()
        if self._next < len(self._tokens):
            raise self._wrong("the expression ends before this", self._tokens[self._next])
        return found

    # ------------------------------------------------------------ syntax

    def _expression(self) -> Found:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._wrong(f"expressions nest more than {MAX_NESTING} deep", self._peek())
        left = self._term()
        while (token := self._peek()) is not None and not token.quoted and token.text in _OPERATORS:
            self._next += 1
            left = _combined(_OPERATORS[token.text], left, self._term())
        self._depth -= 1
        return left

    def _term(self) -> Found:
        token = self._take("a label, a pattern or a function")
        following = self._peek()
        if token.text == "(" and not token.quoted:
            found = self._expression()
            self._expect(")")
            return found
        if not token.quoted and following is not None and following.text == "(":
            return self._call(token)
        if not token.quoted and (token.text in _OPERATORS or token.text in "),"):
            raise self._wrong("a label, a pattern or a function belongs here", token)
        return self._targets(token)

    def _call(self, name: _Token) -> Found:
        function = self._functions.get(name.text)
        if function is None:
            hint = suggestion(name.text, self._functions) or "functions: " + ", ".join(self._functions)
            raise self._wrong(f"there is no function {name.text!r}", name, hint)
        self._expect("(")
        found = function(name)
        self._expect(")")
        return found

    def _targets(self, token: _Token) -> Found:
        try:
            return tuple(sorted(self._graph.workspace.targets(token.text)))
        except BuildError as e:
            raise e.at(self._span(token)) from None

    def _word(self, what: str) -> _Token:
        token = self._take(what)
        self._expect(",")
        return token

    def _number(self) -> int | None:
        """A further argument that is a number, if there is one."""
        if (token := self._peek()) is None or token.text != ",":
            return None
        self._next += 1
        token = self._take("a number")
        if not (token.text.isascii() and token.text.isdigit() and len(token.text) < 7):
            raise self._wrong("a depth is a number", token)
        return int(token.text)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            raise self._wrong(f"the expression ends where {what} belongs", None)
        self._next += 1
        return token

    def _expect(self, text: str) -> None:
        token = self._take(f"{text!r}")
        if token.text != text or token.quoted:
            raise self._wrong(f"{text!r} belongs here, not {token.text!r}", token)

    def _span(self, token: _Token | None) -> Span:
        column = token.column if token else len(self._text) + 1
        return Span("query", 1, column, 1, column + len(token.text if token else "x"), self._text)

    def _wrong(self, message: str, token: _Token | None, hint: str = "") -> BuildError:
        return BuildError("bad-query", message, span=self._span(token), hint=hint)

    # ------------------------------------------------------------ functions

    def _deps(self, _: _Token) -> Found:
        of = self._expression()
        return tuple(sorted(self._graph.closure(of, self._number())))

    def _rdeps(self, _: _Token) -> Found:
        universe = self._graph.closure(self._expression())
        self._expect(",")
        wanted = self._expression()
        depth = self._number()
        users = self._graph.reversed(universe)
        level = {label for label in wanted if label in universe}
        found = set(level)
        distance = 0
        while level and (depth is None or distance < depth):
            level = {user for label in level for user in users.get(label, ())} - found
            found |= level
            distance += 1
        return tuple(sorted(found))

    def _ends(self) -> tuple[Found, Found]:
        start = self._expression()
        self._expect(",")
        return start, self._expression()

    def _allpaths(self, _: _Token) -> Found:
        start, end = self._ends()
        reached = self._graph.closure(start)
        users = self._graph.reversed(reached)
        level = [label for label in end if label in reached]
        found = set(level)
        while level:
            level = list({user for label in level for user in users.get(label, ())} - found)
            found |= set(level)
        return tuple(sorted(found))

    def _somepath(self, _: _Token) -> Found:
        start, end = self._ends()
        reached = self._graph.closure(start)
        users = self._graph.reversed(reached)
        ends = [label for label in end if label in reached]
        if not ends:
            return ()
        path = [min(ends, key=lambda label: (reached[label], label))]
        while reached[path[-1]]:
            closer = [u for u in users[path[-1]] if reached[u] < reached[path[-1]]]
            path.append(min(closer))
        return tuple(reversed(path))

    def _kind(self, _: _Token) -> Found:
        matches = self._pattern(self._word("a pattern of kinds"))
        return tuple(t for t in self._expression() if matches(kind_of(self._graph.target(t))))

    def _attr(self, _: _Token) -> Found:
        name = self._word("the name of an attribute").text
        matches = self._pattern(self._word("a pattern of values"))
        found = ((t, attribute(self._graph.target(t), name)) for t in self._expression())
        return tuple(t for t, value in found if value is not None and matches(value))

    def _filter(self, _: _Token) -> Found:
        matches = self._pattern(self._word("a pattern of labels"))
        return tuple(t for t in self._expression() if matches(str(t)))

    def _set(self, _: _Token) -> Found:
        found: set[Label] = set()
        while (token := self._peek()) is not None and token.text != ")":
            self._next += 1
            found |= set(self._targets(token))
        return tuple(sorted(found))

    def _pattern(self, token: _Token) -> Callable[[str], bool]:
        try:
            search = re.compile(token.text).search
        except (re.error, OverflowError, RecursionError) as e:
            raise self._wrong(f"{token.text!r} is no regular expression: {e}", token) from None
        return lambda text: search(text) is not None


def _combined(operator: str, left: Found, right: Found) -> Found:
    a, b = set(left), set(right)
    return tuple(sorted(a | b if operator == "+" else a - b if operator == "-" else a & b))


def _tokens(text: str) -> Sequence[_Token]:
    found = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        assert match is not None
        index = match.lastindex or 4
        word = match[index]
        quoted = index == 1
        found.append(_Token(word[1:-1] if quoted else word, match.start(index) + 1, quoted))
        position = match.end()
    return found
