"""Tokens of a Starlark file: its words, and how its lines and blocks begin and end.

Outside brackets, lines that hold only a comment or nothing are tokens of their own,
because they separate statements.  All other comments are listed beside the tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from buildtool.diag import BuildError, Span
from buildtool.frontends.starlark.syntax.tree import Comment, Place

KEYWORDS = frozenset(
    [
        "and",
        "break",
        "continue",
        "def",
        "elif",
        "else",
        "for",
        "if",
        "in",
        "lambda",
        "load",
        "not",
        "or",
        "pass",
        "return",
    ]
)
_TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r]+ | \\\r?\n )
    | (?P<comment> \#[^\n]* )
    | (?P<string>  [rRbBfF]{0,2}(?: \"\"\"(?:\\.|[^\\])*?\"\"\" | \'\'\'(?:\\.|[^\\])*?\'\'\'
                                  | \"(?:\\.|[^\\\"\n])*\"      | \'(?:\\.|[^\\\'\n])*\' ) )
    | (?P<line>    \n )
    | (?P<number>  0[xX][0-9a-fA-F]+ | 0[oO][0-7]+ | 0[bB][01]+
                 | (?: [0-9]+\.?[0-9]* | \.[0-9]+ )(?:[eE][+-]?[0-9]+)? )
    | (?P<word>    [^\W\d]\w* )
    | (?P<op>      \*\*|//=|>>=|<<=|->|//|<<|>>|<=|>=|==|!=|\+=|-=|\*=|/=|%=|&=|\|=|\^=
                 | [-+*/%~&|^<>=()\[\]{},.:;] )
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A token: its kind is one of the groups of `_TOKEN`, or keyword, newline, indent, dedent, blank, end."""

    kind: str
    text: str
    start: Place
    end: Place


@dataclass(slots=True)
class Lexer:
    """One walk over a text; `comments` are those inside statements, in order."""

    file: str
    text: str
    comments: list[Comment] = field(default_factory=list)
    _depth: int = 0
    _indents: list[int] = field(default_factory=lambda: [1])

    def tokens(self) -> Iterator[Token]:
        """All tokens, the last of them `end`; BuildError `starlark-syntax`."""
        fresh = True
        waiting: list[Token] = []
        line, begin, offset, previous = 1, 0, 0, Token("", "", Place(1, 1, 0), Place(1, 1, 0))
        while offset < len(self.text):
            match = _TOKEN.match(self.text, offset)
            start = Place(line, offset - begin + 1, offset)
            if match is None:
                raise self.error(start, f"{self.text[offset]!r} is unexpected here")
            kind, text = match.lastgroup or "", match[0]
            offset = match.end()
            if breaks := text.count("\n"):
                line += breaks
                begin = match.start() + text.rindex("\n") + 1
            token = Token(kind, text, start, Place(line, offset - begin + 1, offset))
            if kind == "space":
                continue
            if kind == "comment":
                self._comment(token, fresh, waiting, previous)
            elif kind == "line":
                if fresh and (not waiting or waiting[-1].end.line < token.start.line):
                    waiting.append(token._replace(kind="blank"))
                if not self._depth and not fresh:
                    yield token._replace(kind="newline")
                    fresh = True
            else:
                if fresh:
                    yield from self._begun(token, waiting)
                    fresh, waiting = False, []
                yield self._word(token)
                previous = token
        end = Place(line, offset - begin + 1, offset)
        if not fresh:
            yield Token("newline", "", end, end)
        yield from self._begun(Token("end", "", Place(end.line, 1, end.offset), end), waiting)
        yield Token("end", "", end, end)

    def _comment(self, token: Token, fresh: bool, waiting: list[Token], previous: Token) -> None:
        """A comment between statements is a token; inside of one, a blank line above it counts as one too."""
        text = token.text.rstrip()
        if fresh:
            waiting.append(token._replace(text=text))
            return
        line = token.start.line
        above = max(previous.end.line, self.comments[-1].at.line if self.comments else 0)
        if line - above > 1:
            self.comments.append(Comment(token.start, "", True))
        alone = line != previous.end.line or previous.text in ("(", "[", "{")
        self.comments.append(Comment(token.start, text, alone))

    def _word(self, token: Token) -> Token:
        if token.kind == "word":
            return token._replace(kind="keyword") if token.text in KEYWORDS else token
        if token.kind == "op":
            self._depth += (token.text in "([{") - (token.text in ")]}")
            if self._depth < 0:
                raise self.error(token.start, f"{token.text!r} closes no bracket")
        return token

    def _begun(self, token: Token, waiting: list[Token]) -> Iterator[Token]:
        """What comes before the first word of a line: blocks that begin or end, blank lines and comments.

        A comment after a block belongs to it as far as it is indented like it.
        """
        column = token.start.column
        if column > self._indents[-1]:
            self._indents.append(column)
            yield Token("indent", "", token.start, token.start)
            yield from waiting
            return
        leaving = [i for i in self._indents if i > column]
        if leaving and self._indents[-len(leaving) - 1] != column:
            raise self.error(token.start, "this line is indented like no block that is open")
        kept = 1 if token.text in ("else", "elif") else 0
        for one in waiting:
            while len(leaving) > kept and one.kind == "comment" and one.start.column < self._indents[-1]:
                yield self._left(leaving, one)
            yield one
        while leaving:
            yield self._left(leaving, token)

    def _left(self, leaving: list[int], token: Token) -> Token:
        leaving.pop()
        self._indents.pop()
        return Token("dedent", "", token.start, token.start)

    def error(self, at: Place, message: str) -> BuildError:
        """The error `starlark-syntax` at a place."""
        rows = self.text.split("\n", at.line)
        return BuildError(
            "starlark-syntax",
            message,
            span=Span(self.file, at.line, at.column, at.line, at.column + 1, rows[at.line - 1]),
        )
