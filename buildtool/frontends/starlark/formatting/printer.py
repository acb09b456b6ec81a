"""The printer: the tree of a Starlark file becomes text in one layout.

Files of packages are laid out by what they hold: a bracket with more than one item has
one a line, and a blank line stands between statements.  In other files, and inside of
functions, line breaks stay where the author put them, and only their shape is ours.
"""

from collections.abc import Callable, Sequence
from typing import Any

from buildtool.frontends.starlark.formatting.lines import Lines
from buildtool.frontends.starlark.formatting.rewrite import multiline, simple
from buildtool.frontends.starlark.formatting.texts import indented, quoted
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.expressions import NOT, PRECEDENCE, UNARY
from buildtool.frontends.starlark.syntax.tree import Mark, Node

INDENT, PARAMETERS = 4, 8
_TIGHT = UNARY + 1
_OPEN = {"list": "[", "dict": "{", "set": "{", "tuple": "(", "bare": ""}
_CLOSE = {"list": "]", "dict": "}", "set": "}", "tuple": ")", "bare": ""}


class Printer(Lines):
    """Writes the nodes of one file; `package` is whether it is a BUILD file."""

    def __init__(self, *, package: bool) -> None:
        super().__init__()
        self._package = package
        self._level = 0

    def file(self, file: t.File) -> str:
        """The text of a file."""
        for comment in file.before:
            self.own_line(comment)
        self._statements(file.body)
        for comment in file.after:
            self.own_line(comment)
        if self.due or self.row:
            self.newline()
        return "\n".join([*self.rows, ""]) if self.rows else ""

    # ------------------------------------------------------------ statements

    def _statements(self, body: Sequence[Node]) -> None:
        for number, node in enumerate(body):
            self._statement(node)
            if not isinstance(node, t.Block):
                self.due = True
            for comment in node.after:
                self.newline_if_due()
                self.write(comment.text)
                self.due = True
            if number + 1 < len(body):
                self.newline()
                if not self._compact(node, body[number + 1]):
                    self.newline()

    def _compact(self, one: Node, next_: Node) -> bool:
        """Whether no blank line stands between two statements."""
        if next_.before or one.after:
            return False
        if isinstance(one, t.Load) or isinstance(next_, t.Load):
            return isinstance(one, t.Load) and isinstance(next_, t.Load)
        if isinstance(one, t.Block | t.Def) or isinstance(next_, t.Block | t.Def):
            return False
        if self._package and not self._level:
            return False
        return next_.start.line - one.end.line <= 1

    def _statement(self, node: Node) -> None:
        self._before(node)
        if isinstance(node, t.Def):
            self._def(node)
        elif isinstance(node, t.For):
            self.write("for ")
            self._expr(node.variables)
            self.write(" in ")
            self._expr(node.over)
            self._suite(node.body)
        elif isinstance(node, t.If):
            self._if(node)
        elif isinstance(node, t.Load):
            self._load(node)
        elif isinstance(node, t.Return):
            self.write("return")
            if node.value is not None:
                self.write(" ")
                self._expr(node.value)
        elif isinstance(node, t.Word):
            self.write(node.word)
        elif not isinstance(node, t.Block):
            self._shape(node, 0)
        self.waiting += node.beside

    def _suite(self, body: Sequence[Node]) -> None:
        self.write(":")
        self.margin += INDENT
        self._level += 1
        self.newline()
        self._statements(body)
        self.margin -= INDENT
        self._level -= 1

    def _def(self, node: t.Def) -> None:
        self.write(f"def {node.name}")
        self._seq("()", node.params_at, node.params, node.close, "def")
        if node.type is not None:
            self.write(" -> ")
            self._expr(node.type)
        first = node.body[0]
        if isinstance(first, t.Text) and first.token.lstrip("rR")[:3] in ('"""', "'''"):
            first.token = indented(first.token, first.start.column - 1, self.margin + INDENT)
        self._suite(node.body)

    def _if(self, node: t.If) -> None:
        end = 0
        for number, branch in enumerate(node.branches):
            self._before(branch)
            if number:
                self._apart(branch.start.line - end)
            self.write("elif " if number else "if ")
            self._expr(branch.test)
            self._suite(branch.body)
            end = branch.end.line
        if node.other_at is not None:
            self.newline_if_due()
            self._apart(node.other_at.start.line - end)
            self.write("else")
            self.waiting += node.other_at.beside
            self._suite(node.other)

    def _apart(self, lines: int) -> None:
        """A blank line before `elif` and `else` where there was one."""
        if lines > 1:
            self.newline()

    def _load(self, node: t.Load) -> None:
        self.write("load")
        compact = node.start.line == node.close.start.line
        self._seq("()", node.open, [node.module, *node.names], node.close, "load", compact=compact)

    # ------------------------------------------------------------ expressions

    def _before(self, node: Node) -> None:
        self.newline_if_due()
        if node.before:
            if self.row.strip():
                self.rows.append(self.row.rstrip(" "))
            self.row = " " * self.margin
            for comment in node.before:
                self.write(comment.text)
                self.newline()

    def _expr(self, node: Node, outer: int = 0) -> None:
        """A node, in parentheses where the operator outside binds tighter than its own."""
        self._before(node)
        self._shape(node, outer)
        self.waiting += node.beside

    def _shape(self, node: Node, outer: int) -> None:
        own = _binds(node)
        wrapped = own < outer
        if wrapped:
            self.write("(")
            self.depth += 1
        _SHAPES[type(node)](self, node)
        if wrapped:
            self.depth -= 1
            self.write(")")

    def _name(self, node: t.Name) -> None:
        self.write(node.id)

    def _number(self, node: t.Number) -> None:
        self.write(node.token)

    def _text(self, node: t.Text) -> None:
        self.write(quoted(node.token))

    def _loaded(self, node: t.Loaded) -> None:
        if quoted(node.remote.token)[1:-1] != node.local:
            self.write(f"{node.local} = ")
        self.write(quoted(node.remote.token))
        self.waiting += node.remote.beside

    def _dot(self, node: t.Dot) -> None:
        self._expr(node.value, _TIGHT)
        broken = node.value.end.line != node.name_at.line
        if broken:
            self.margin += INDENT
            self.break_line()
        self.write(f".{node.name}")
        if broken:
            self.margin -= INDENT

    def _index(self, node: t.Index) -> None:
        self._expr(node.value, _TIGHT)
        self.write("[")
        self._inside(node.key)
        self.write("]")

    def _inside(self, node: Node) -> None:
        self.depth += 1
        self._expr(node)
        self.depth -= 1

    def _slice(self, node: t.Slice) -> None:
        self._expr(node.value, _TIGHT)
        self.write("[")
        for number, part in enumerate((node.low, node.high, node.step)):
            if number == 1 or (number == 2 and node.stepped):
                self.write(":")
            if part is not None:
                self._inside(part)
        self.write("]")

    def _pair(self, node: t.Pair | t.Typed) -> None:
        left, right = (node.key, node.value) if isinstance(node, t.Pair) else (node.name, node.type)
        self._expr(left)
        self.write(": ")
        self._expr(right)

    def _unary(self, node: t.Unary) -> None:
        self.write("not " if node.op == "not" else node.op)
        if node.operand is not None:
            starred = node.op in ("*", "**")
            nested = isinstance(node.operand, t.Unary)
            self._expr(node.operand, 0 if starred else _TIGHT if nested else _binds(node))

    def _lambda(self, node: t.Lambda) -> None:
        self.write("lambda")
        for number, param in enumerate(node.params):
            self.write(", " if number else " ")
            self._expr(param)
        self.write(": ")
        self._expr(node.body)

    def _binary(self, node: t.Binary) -> None:
        margin = self.margin
        if node.broken:
            self.margin = len(self.row)
        self._expr(node.left, PRECEDENCE[node.op])
        self.write(f" {node.op}")
        if node.broken:
            self.break_line()
        else:
            self.write(" ")
        self._expr(node.right, PRECEDENCE[node.op] + 1)
        self.margin = margin

    def _assign(self, node: t.Assign) -> None:
        margin = self.margin
        if node.broken:
            self.margin = len(self.row) + INDENT
        self._expr(node.left)
        self.write(f" {node.op}")
        if node.broken:
            self.break_line()
        else:
            self.write(" ")
        self._expr(node.right)
        self.margin = margin

    def _conditional(self, node: t.Conditional) -> None:
        self._expr(node.then, 1)
        self.write(" if ")
        self._expr(node.test, 1)
        self.write(" else ")
        self._expr(node.other)

    def _paren(self, node: t.Paren) -> None:
        self._seq("()", node.start, [node.inner], node.close, "paren", forced=multiline(node))

    def _call(self, node: t.Call) -> None:
        self._expr(node.function, _TIGHT)
        compact = simple(node.open, node.args, node.close)
        self._seq("()", node.open, node.args, node.close, "call", compact=compact, forced=multiline(node))

    def _brackets(self, node: t.Brackets) -> None:
        compact = node.kind == "tuple" and simple(node.start, node.items, node.close)
        forced = node.forced or multiline(node)
        brackets = _OPEN[node.kind] + _CLOSE[node.kind]
        self._seq(brackets, node.start, node.items, node.close, node.kind, compact=compact, forced=forced)

    def _comprehension(self, node: t.Comprehension) -> None:
        line, spread = node.start.line, bool(node.close.before)
        for part in (node.body, *node.clauses, node.close):
            spread = spread or part.start.line != line
            line = part.end.line
        self.depth += 1
        self.write("{" if node.curly else "[")
        self.margin += INDENT if spread else 0
        for number, part in enumerate((node.body, *node.clauses)):
            if spread:
                self.newline()
            elif number:
                self.write(" ")
            self._expr(part)
        for comment in node.close.before:
            self.newline()
            self.write(comment.text)
        if spread:
            self.margin -= INDENT
            self.newline()
        self.write("}" if node.curly else "]")
        self.depth -= 1
        self.waiting += node.close.beside

    def _for_clause(self, node: t.ForClause) -> None:
        self.write("for ")
        self._expr(node.variables)
        self.write(" in ")
        self._expr(node.over)

    def _if_clause(self, node: t.IfClause) -> None:
        self.write("if ")
        self._expr(node.test)

    # ------------------------------------------------------------ sequences

    def _seq(
        self,
        brackets: str,
        start: t.Place,
        items: Sequence[Node],
        close: Mark,
        kind: str,
        *,
        compact: bool = False,
        forced: bool = False,
    ) -> None:
        """Items between brackets, all on one line or each on its own."""
        self.write(brackets[:1])
        self.depth += 1
        if self._on_one_line(start, items, close, kind, compact=compact, forced=forced):
            for number, item in enumerate(items):
                self.write(", " if number else "")
                self._expr(item)
            if len(items) == 1 and kind in ("tuple", "bare"):
                self.write(",")
        else:
            self._one_a_line(items, close, kind)
        self.depth -= 1
        self.write(brackets[1:])
        if kind != "def":
            self.waiting += close.beside

    def _one_a_line(self, items: Sequence[Node], close: Mark, kind: str) -> None:
        self.margin += PARAMETERS if kind == "def" else INDENT
        for number, item in enumerate(items):
            if not number and self.waiting:
                self.write("\n" + " " * (self.margin - 2))
            self.newline()
            self._expr(item)
            if number + 1 < len(items) or _comma(kind, item):
                self.write(",")
        for comment in close.before:
            self.newline()
            self.write(comment.text)
        self.margin -= PARAMETERS if kind == "def" else INDENT
        if kind != "def":
            self.newline()

    def _on_one_line(
        self, start: t.Place, items: Sequence[Node], close: Mark, kind: str, *, compact: bool, forced: bool
    ) -> bool:
        if close.before or any(item.before or (item.beside and kind != "def") for item in items):
            return False
        if kind == "bare" or (kind == "call" and not items):
            return True
        if (self._level or not self._package or kind == "def") and kind != "load":
            line = start.line
            for item in items:
                if item.start.line != line:
                    return False
                line = item.end.line
            return close.start.line == line and not forced
        if forced or compact:
            return not forced
        return len(items) <= 1


def _comma(kind: str, item: Node) -> bool:
    """Whether a comma stands behind the last of items that have a line each."""
    if kind == "call":
        return not (isinstance(item, t.Unary) and item.op in ("*", "**"))
    return kind not in ("def", "paren")


def _binds(node: Node) -> int:
    """How tightly the outermost operator of a node binds."""
    if isinstance(node, t.Binary):
        return PRECEDENCE[node.op]
    if isinstance(node, t.Conditional | t.Lambda | t.Assign):
        return 0
    if isinstance(node, t.Unary):
        return NOT if node.op == "not" else UNARY
    return _TIGHT


_SHAPES: dict[type[Node], Callable[[Printer, Any], None]] = {
    t.Name: Printer._name,
    t.Number: Printer._number,
    t.Text: Printer._text,
    t.Loaded: Printer._loaded,
    t.Dot: Printer._dot,
    t.Index: Printer._index,
    t.Slice: Printer._slice,
    t.Pair: Printer._pair,
    t.Typed: Printer._pair,
    t.Unary: Printer._unary,
    t.Lambda: Printer._lambda,
    t.Binary: Printer._binary,
    t.Conditional: Printer._conditional,
    t.Assign: Printer._assign,
    t.Brackets: Printer._brackets,
    t.Paren: Printer._paren,
    t.Call: Printer._call,
    t.ForClause: Printer._for_clause,
    t.IfClause: Printer._if_clause,
    t.Comprehension: Printer._comprehension,
}
