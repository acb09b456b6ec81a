"""The parser: tokens of a Starlark file become its tree.

It takes a little more than the evaluator does, which has the last word on what may be
built; what it refuses is an error with a place.
"""

from collections.abc import Callable

from buildtool.frontends.starlark import bounds
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.attach import attach
from buildtool.frontends.starlark.syntax.expressions import Expressions
from buildtool.frontends.starlark.syntax.tokens import Lexer
from buildtool.frontends.starlark.syntax.tree import Comment, Mark, Node, Text

_AUGMENTED = frozenset(("=", "+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="))


def parse(text: str, file: str) -> t.File:
    """The tree of a text within the bounds; BuildError `starlark-syntax` or `starlark-too-deep`."""
    bounds.check(text, file)
    lexer = Lexer(file, text)
    parser = _Statements(lexer, list(lexer.tokens()))
    start = parser.token.start
    body = parser.block("end")
    found = t.File(start, parser.token.end, body)
    attach(found, lexer.comments)
    return found


class _Statements(Expressions):
    """The statements of a file, one function a kind."""

    def block(self, until: str) -> list[Node]:
        """Statements up to a token of kind `until`, with the comments and blank lines between them.

        Comments right above a statement are its `before`, those right below it its `after`;
        between blank lines they are a block of their own.
        """
        body: list[Node] = []
        last: Node | None = None
        while self.token.kind != until:
            token = self.token
            if token.kind == "blank":
                last = None
                self.take()
            elif token.kind == "comment":
                if last is None:
                    last = t.Block(token.start, token.end)
                    body.append(last)
                last.after.append(Comment(token.start, token.text, True))
                self.take()
            elif token.kind == "end":
                raise self.unexpected()
            else:
                above, last = last, None
                found = self._statement()
                if isinstance(above, t.Block):
                    body.remove(above)
                if above is not None:
                    found[0].before, above.after = above.after, []
                body += found
                if not isinstance(found[-1], t.Def | t.For | t.If):
                    last = found[-1]
        return body

    def _statement(self) -> list[Node]:
        compound: dict[str, Callable[[], Node]] = {"def": self._def, "for": self._for, "if": self._if}
        if self.token.kind == "keyword" and self.token.text in compound:
            return [compound[self.token.text]()]
        return self._line()

    def _line(self) -> list[Node]:
        found = [self._simple()]
        while self.accept(";"):
            if self.token.kind == "newline":
                break
            found.append(self._simple())
        self.expect_kind("newline")
        return found

    def _simple(self) -> Node:
        token = self.token
        if token.kind == "keyword" and token.text in ("pass", "break", "continue"):
            self.take()
            return t.Word(token.start, token.end, token.text)
        if token.text == "return" and token.kind == "keyword":
            self.take()
            ends = self.token.kind == "newline" or self.at(";")
            value = None if ends else self.several()
            return t.Return(token.start, value.end if value else token.end, value)
        if token.text == "load" and token.kind == "keyword":
            return self._load()
        left = self.several()
        if self.at(":"):
            self.take()
            kind = self.test()
            left = t.Typed(left.start, kind.end, left, kind)
        if self.token.kind == "op" and self.token.text in _AUGMENTED:
            op = self.take().text
            right = self.several()
            broken = left.end.line < right.start.line
            return t.Assign(left.start, right.end, left, op, right, broken)
        return left

    def _load(self) -> Node:
        start = self.take().start
        opened = self.expect("(").start
        module = self._text()
        names: list[t.Loaded] = []
        while self.accept(",") and not self.at(")"):
            token = self.token
            if token.kind == "word":
                self.take()
                self.expect("=")
                remote = self._text()
                names.append(t.Loaded(token.start, remote.end, token.text, remote))
            else:
                remote = self._text()
                names.append(t.Loaded(remote.start, remote.end, remote.token.strip("\"'"), remote))
        close = self.close(")")
        return t.Load(start, close.end, opened, module, names, close)

    def _text(self) -> Text:
        token = self.expect_kind("string")
        return Text(token.start, token.end, token.text)

    def _def(self) -> Node:
        start = self.take().start
        name = self.expect_kind("word")
        opened = self.expect("(").start
        params = self.params(")")
        close = self.close(")")
        kind = self.test() if self.accept("->") else None
        body, end = self._suite()
        return t.Def(start, end, name.text, name.start, opened, params, close, kind, body)

    def _for(self) -> Node:
        start = self.take().start
        variables = self.variables()
        self.expect("in")
        over = self.several()
        body, end = self._suite()
        return t.For(start, end, variables, over, body)

    def _if(self) -> Node:
        start = self.token.start
        branches: list[t.Branch] = []
        while not branches or self.at("elif"):
            begun = self.take().start
            test = self.test()
            body, end = self._suite()
            branches.append(t.Branch(begun, end, test, body))
        if not self.at("else"):
            return t.If(start, end, branches, None, [])
        token = self.take()
        other, end = self._suite()
        return t.If(start, end, branches, Mark(token.start, token.end), other)

    def _suite(self) -> tuple[list[Node], t.Place]:
        """The statements behind a colon, and where they end."""
        self.expect(":")
        if self.token.kind != "newline":
            body = self._line()
            self._up_to_else(body[-1])
            return body, body[-1].end
        self.take()
        self.expect_kind("indent")
        body = self.block("dedent")
        self.take()
        return body, body[-1].end

    def _up_to_else(self, last: Node) -> None:
        """Take the comments between a branch on one line and the `else` that follows it."""
        ahead = self._next
        while self._tokens[ahead].kind in ("blank", "comment"):
            ahead += 1
        if self._tokens[ahead].text not in ("else", "elif") or self._tokens[ahead].kind != "keyword":
            return
        while self.token.kind in ("blank", "comment"):
            token = self.take()
            if token.kind == "comment":
                last.after.append(Comment(token.start, token.text, True))


def parsed(data: bytes, file: str) -> tuple[t.File, str]:
    """The tree of a file's bytes, and its text; besides, `starlark-too-big` and `starlark-not-text`."""
    text = bounds.decode(data, file)
    return parse(text, file), text
