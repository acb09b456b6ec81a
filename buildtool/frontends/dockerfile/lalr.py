"""A LALR(1) parser that runs on a table: what Lark computes from a grammar, read without Lark.

The table says for each state which terminals can follow (its lexer, terminals in
the order in which they are tried) and what each of them does.  As in Lark, a name
that begins with `_` leaves no mark in the tree: such a terminal is dropped, such a
rule gives its children to the one above; and a rule marked `?` that has one child
is that child.
"""

import functools
import re
from typing import NamedTuple

import msgspec


class Token(NamedTuple):
    """A terminal as it stands in the text; `column` counts from 0 in its line."""

    kind: str
    text: str
    column: int


class Tree(NamedTuple):
    """A rule and what it is made of."""

    name: str
    children: "list[Token | Tree]"


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """A reduction: the name it makes of `length` symbols; `lifts` where one child takes its place."""

    name: str
    length: int
    lifts: bool


class Table(msgspec.Struct, frozen=True):
    """A grammar, computed.  `source` is the digest of its text.

    An action is the state to go to, or a rule to reduce by: rule r is written -1-r.
    `terminals` holds regular expressions, once for each value that `ESCAPE` can have.
    """

    source: str
    start: int
    end: int
    rules: tuple[Rule, ...]
    lexers: tuple[tuple[str, ...], ...]
    states: tuple[tuple[int, dict[str, int]], ...]
    terminals: dict[str, dict[str, str]]


class Unreadable(Exception):
    """Nothing that the grammar allows stands at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"unreadable at {offset}")
        self.offset = offset


#: The terminal that ends a text, and the one that is passed over, as Lark calls them.
END, IGNORED = "$END", "__IGNORE_0"


class Parser:
    """The parser of a table; a lexer is compiled when a text first needs it."""

    def __init__(self, table: Table, escape: str) -> None:
        self._table = table
        self._terminals = table.terminals[escape]
        self._compiled: list[re.Pattern[str] | None] = [None] * len(table.lexers)

    @classmethod
    @functools.lru_cache(maxsize=4)
    def of(cls, table: bytes, escape: str) -> "Parser":
        """The parser of a table as JSON, made once."""
        return cls(msgspec.json.decode(table, type=Table), escape)

    def parse(self, text: str) -> list[Token | Tree]:
        """What the start symbol is made of; raises Unreadable."""
        table = self._table
        states = [table.start]
        values: list[list[Token | Tree]] = []
        at = line = 0
        while True:
            lexer, actions = table.states[states[-1]]
            token = self._next(lexer, text, at, line)
            at += len(token.text)
            if token.kind == IGNORED:
                continue
            while (action := actions.get(token.kind, 0)) < 0:
                self._reduce(table.rules[-1 - action], states, values)
                if token.kind == END and states[-1] == table.end:
                    return values[-1]
                actions = table.states[states[-1]][1]
            if token.kind not in actions:
                raise Unreadable(at - len(token.text))
            states.append(action)
            values.append([] if token.kind.startswith("_") else [token])
            if token.text == "\n":
                line = at

    def _next(self, lexer: int, text: str, at: int, line: int) -> Token:
        if at == len(text):
            return Token(END, "", at - line)
        pattern = self._compiled[lexer] or self._compile(lexer)
        match = pattern.match(text, at)
        if match is None or match.lastgroup is None:
            raise Unreadable(at)
        return Token(match.lastgroup, match[0], at - line)

    def _compile(self, lexer: int) -> re.Pattern[str]:
        names = self._table.lexers[lexer]
        made = re.compile("|".join(f"(?P<{name}>{self._terminals[name]})" for name in names))
        self._compiled[lexer] = made
        return made

    def _reduce(self, rule: Rule, states: list[int], values: list[list[Token | Tree]]) -> None:
        """Put one value in the place of a rule's; the first grows, so that a long list costs its length."""
        made: list[Token | Tree] = []
        if rule.length:
            made, *others = values[-rule.length :]
            for value in others:
                made += value
            del states[-rule.length :], values[-rule.length :]
        whole = rule.name.startswith("_") or (rule.lifts and len(made) == 1) or rule.name == "start"
        values.append(made if whole else [Tree(rule.name, made)])
        states.append(self._table.states[states[-1]][1][rule.name])
