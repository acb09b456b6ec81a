"""The expressions of Starlark, by precedence."""

from buildtool.diag import BuildError
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.tokens import Lexer, Token
from buildtool.frontends.starlark.syntax.tree import Mark, Node

#: Operators between two operands, and how tightly they bind.
PRECEDENCE = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("in", "not in", "<", ">", "==", "!=", "<=", ">="), 4),
    "|": 5,
    "^": 6,
    "&": 7,
    **dict.fromkeys(("<<", ">>"), 8),
    **dict.fromkeys(("+", "-"), 9),
    **dict.fromkeys(("*", "/", "//", "%"), 10),
}
NOT, UNARY = 3, 11


class Expressions:
    """Reads expressions from the tokens of a file."""

    def __init__(self, lexer: Lexer, tokens: list[Token]) -> None:
        self._lexer = lexer
        self._tokens = tokens
        self._next = 0
        self.token = tokens[0]

    # ------------------------------------------------------------ tokens

    def take(self) -> Token:
        """The token that is next; after it, the one behind it is."""
        token = self.token
        if token.kind != "end":
            self._next += 1
            self.token = self._tokens[self._next]
        return token

    def at(self, text: str) -> bool:
        """Whether an operator or a keyword is next."""
        return self.token.text == text and self.token.kind in ("op", "keyword")

    def accept(self, text: str) -> bool:
        """Take an operator or a keyword if it is next."""
        found = self.at(text)
        if found:
            self.take()
        return found

    def expect(self, text: str) -> Token:
        """Take an operator or a keyword, which has to be next."""
        if not self.at(text):
            raise self.unexpected(repr(text))
        return self.take()

    def expect_kind(self, kind: str) -> Token:
        """Take a token of a kind, which has to be next."""
        if self.token.kind != kind:
            named = {"newline": "the end of the line", "indent": "an indented block", "word": "a name"}
            raise self.unexpected(named.get(kind, f"a {kind}"))
        return self.take()

    def close(self, bracket: str) -> Mark:
        """Take a closing bracket."""
        token = self.expect(bracket)
        return Mark(token.start, token.end)

    def unexpected(self, wanted: str = "") -> BuildError:
        """The error at the token that is next."""
        named = {"newline": "the line ends", "end": "the file ends", "dedent": "the block ends"}
        found = named.get(self.token.kind) or f"{self.token.text or self.token.kind!r} stands"
        message = f"{found} where {wanted} is expected" if wanted else f"{found} where it is not expected"
        return self._lexer.error(self.token.start, message)

    # ------------------------------------------------------------ sequences

    def several(self) -> Node:
        """An expression, or several between commas."""
        first = self.test()
        if not self.at(","):
            return first
        items = [first]
        while self.accept(","):
            if self.token.kind in ("newline", "end") or self.token.text in (")", "]", "}", "=", ":"):
                break
            items.append(self.test())
        end = items[-1].end
        return t.Brackets(first.start, end, "bare", items, Mark(end, end))

    def variables(self) -> Node:
        """The variables of a loop."""
        first = self._primary()
        if not self.at(","):
            return first
        items = [first]
        while self.accept(",") and not self.at("in"):
            items.append(self._primary())
        end = items[-1].end
        return t.Brackets(first.start, end, "bare", items, Mark(end, end))

    def params(self, until: str) -> list[Node]:
        """Parameters of a function; those of a lambda end at a colon and have no types."""
        found: list[Node] = []
        while not self.at(until):
            found.append(self._param(typed=until == ")"))
            if not self.accept(","):
                break
        return found

    def _param(self, *, typed: bool) -> Node:
        star = self.token
        if star.text in ("*", "**") and star.kind == "op":
            self.take()
            if self.token.kind != "word":
                return t.Unary(star.start, star.end, star.text, None)
            named = self._param(typed=typed)
            return t.Unary(star.start, named.end, star.text, named)
        token = self.expect_kind("word")
        name: Node = t.Name(token.start, token.end, token.text)
        if typed and self.accept(":"):
            kind = self.test()
            name = t.Typed(name.start, kind.end, name, kind)
        if self.accept("="):
            return self._assigned(name)
        return name

    def _assigned(self, name: Node) -> Node:
        value = self.test()
        return t.Assign(name.start, value.end, name, "=", value, name.end.line < value.start.line)

    def _argument(self) -> Node:
        star = self.token
        if star.text in ("*", "**") and star.kind == "op":
            self.take()
            value = self.test()
            return t.Unary(star.start, value.end, star.text, value)
        value = self.test()
        if isinstance(value, t.Name) and self.accept("="):
            return self._assigned(value)
        return value

    # ------------------------------------------------------------ expressions

    def test(self) -> Node:
        """One expression."""
        if self.at("lambda"):
            start = self.take().start
            params = self.params(":")
            self.expect(":")
            body = self.test()
            return t.Lambda(start, body.end, params, body)
        then = self.binary(1)
        if not self.accept("if"):
            return then
        test = self.binary(1)
        self.expect("else")
        other = self.test()
        return t.Conditional(then.start, other.end, then, test, other)

    def binary(self, least: int) -> Node:
        """Operators that bind at least so tightly."""
        if least <= NOT and self.at("not"):
            start = self.take().start
            operand = self.binary(NOT)
            left: Node = t.Unary(start, operand.end, "not", operand)
        else:
            left = self._unary()
        while (op := self._operator()) and PRECEDENCE[op] >= least:
            self.take()
            if op == "not in":
                self.take()
            right = self.binary(PRECEDENCE[op] + 1)
            left = t.Binary(left.start, right.end, left, op, right, left.end.line < right.start.line)
        return left

    def _operator(self) -> str:
        if self.token.kind not in ("op", "keyword"):
            return ""
        if self.at("not"):
            following = self._tokens[self._next + 1]
            return "not in" if following.text == "in" and following.kind == "keyword" else ""
        return self.token.text if self.token.text in PRECEDENCE else ""

    def _unary(self) -> Node:
        token = self.token
        if token.kind == "op" and token.text in ("-", "+", "~"):
            self.take()
            operand = self._unary()
            return t.Unary(token.start, operand.end, token.text, operand)
        return self._primary()

    def _primary(self) -> Node:
        value = self._atom()
        while True:
            if self.accept("."):
                name = self.expect_kind("word")
                value = t.Dot(value.start, name.end, value, name.text, name.start)
            elif self.at("("):
                value = self._call(value)
            elif self.at("["):
                value = self._subscript(value)
            else:
                return value

    def _call(self, function: Node) -> Node:
        opened = self.take().start
        args: list[Node] = []
        while not self.at(")"):
            args.append(self._argument())
            if self.at("for") and len(args) == 1:
                raise self._lexer.error(self.token.start, "a comprehension needs brackets of its own")
            if not self.accept(","):
                break
        close = self.close(")")
        return t.Call(function.start, close.end, function, opened, args, close)

    def _subscript(self, value: Node) -> Node:
        self.take()
        low = None if self.at(":") else self.several()
        if low is not None and not self.at(":"):
            return t.Index(value.start, self.expect("]").end, value, low)
        self.expect(":")
        high = None if self.at(":") or self.at("]") else self.test()
        stepped = self.accept(":")
        step = self.test() if stepped and not self.at("]") else None
        return t.Slice(value.start, self.expect("]").end, value, low, high, step, stepped)

    def _atom(self) -> Node:
        token = self.token
        if token.kind == "word":
            self.take()
            return t.Name(token.start, token.end, token.text)
        if token.kind == "number":
            self.take()
            return t.Number(token.start, token.end, token.text)
        if token.kind == "string":
            self.take()
            if self.token.kind == "string":
                message = "two texts stand side by side: put + between them"
                raise self._lexer.error(self.token.start, message)
            return t.Text(token.start, token.end, token.text)
        if token.kind == "op" and token.text in ("(", "[", "{"):
            return {"(": self._round, "[": self._square, "{": self._curly}[token.text]()
        raise self.unexpected("an expression")

    def _round(self) -> Node:
        start = self.take().start
        items, comma = self._items(")", pairs=False)
        close = self.close(")")
        if len(items) == 1 and not comma:
            return t.Paren(start, close.end, items[0], close)
        return t.Brackets(start, close.end, "tuple", items, close)

    def _square(self) -> Node:
        start = self.take().start
        items, _ = self._items("]", pairs=False)
        if len(items) == 1 and self.at("for"):
            return self._comprehension(start, items[0], "]")
        close = self.close("]")
        return t.Brackets(start, close.end, "list", items, close)

    def _curly(self) -> Node:
        start = self.take().start
        items, _ = self._items("}", pairs=True)
        if len(items) == 1 and self.at("for"):
            return self._comprehension(start, items[0], "}")
        close = self.close("}")
        kind = "dict" if not items or isinstance(items[0], t.Pair) else "set"
        return t.Brackets(start, close.end, kind, items, close)

    def _items(self, until: str, *, pairs: bool) -> tuple[list[Node], bool]:
        """Items up to a bracket, and whether a comma is the last thing before it."""
        found: list[Node] = []
        comma = False
        while not self.at(until):
            item = self.test()
            if pairs and self.accept(":"):
                value = self.test()
                item = t.Pair(item.start, value.end, item, value)
            found.append(item)
            comma = self.accept(",")
            if not comma:
                break
        return found, comma

    def _comprehension(self, start: t.Place, body: Node, bracket: str) -> Node:
        clauses: list[Node] = []
        while self.at("for") or self.at("if"):
            begun = self.take()
            if begun.text == "for":
                variables = self.variables()
                self.expect("in")
                over = self.binary(1)
                clauses.append(t.ForClause(begun.start, over.end, variables, over))
            else:
                test = self.binary(1)
                clauses.append(t.IfClause(begun.start, test.end, test))
        close = self.close(bracket)
        return t.Comprehension(start, close.end, bracket == "}", body, clauses, close)
