"""The tree of a Starlark file as it is written: places, brackets and comments included.

Nodes are edited in place by what rewrites a file, so they are not frozen and are
equal only to themselves.  Fields stand in the order of the text: `children` and the
attachment of comments rest on that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from typing import NamedTuple


class Place(NamedTuple):
    """A point of a text: line and column from 1, and the offset in characters."""

    line: int
    column: int
    offset: int


class Comment(NamedTuple):
    """A comment with its `#`; `own_line` is whether nothing but a bracket stands before it on its line."""

    at: Place
    text: str
    own_line: bool


@dataclass(slots=True, eq=False)
class Node:
    """A piece of the text, `end` behind its last character; comments before it, on its line, and after it."""

    start: Place
    end: Place
    before: list[Comment] = field(default_factory=list, kw_only=True)
    beside: list[Comment] = field(default_factory=list, kw_only=True)
    after: list[Comment] = field(default_factory=list, kw_only=True)


@dataclass(slots=True, eq=False)
class Mark(Node):
    """A closing bracket or an `else`, which can have comments too."""


# ---------------------------------------------------------------- expressions


@dataclass(slots=True, eq=False)
class Name(Node):
    """An identifier."""

    id: str


@dataclass(slots=True, eq=False)
class Number(Node):
    """A literal number as it is written."""

    token: str


@dataclass(slots=True, eq=False)
class Text(Node):
    """A literal string as it is written, with its prefix and quotes."""

    token: str


@dataclass(slots=True, eq=False)
class Dot(Node):
    """`value.name`."""

    value: Node
    name: str
    name_at: Place


@dataclass(slots=True, eq=False)
class Index(Node):
    """`value[key]`."""

    value: Node
    key: Node


@dataclass(slots=True, eq=False)
class Slice(Node):
    """`value[low:high:step]`; `stepped` is whether there is a second colon."""

    value: Node
    low: Node | None
    high: Node | None
    step: Node | None
    stepped: bool


@dataclass(slots=True, eq=False)
class Pair(Node):
    """`key: value` of a dict."""

    key: Node
    value: Node


@dataclass(slots=True, eq=False)
class Typed(Node):
    """`name: type` of a parameter or a variable."""

    name: Node
    type: Node


@dataclass(slots=True, eq=False)
class Unary(Node):
    """An operator before its operand; `*` alone, among parameters, has none."""

    op: str
    operand: Node | None


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Two operands; `broken` is whether a new line begins behind the operator."""

    left: Node
    op: str
    right: Node
    broken: bool


@dataclass(slots=True, eq=False)
class Conditional(Node):
    """`then if test else other`."""

    then: Node
    test: Node
    other: Node


@dataclass(slots=True, eq=False)
class Lambda(Node):
    """`lambda params: body`."""

    params: list[Node]
    body: Node


@dataclass(slots=True, eq=False)
class Assign(Node):
    """An assignment of any kind, a named argument, or a parameter with a default."""

    left: Node
    op: str
    right: Node
    broken: bool


@dataclass(slots=True, eq=False)
class Brackets(Node):
    """Items in brackets: `kind` is `list`, `dict`, `set`, `tuple`, or `bare` for a tuple without any."""

    kind: str
    items: list[Node]
    close: Mark
    #: Whether more than the text asks for one item a line.
    forced: bool = field(default=False, kw_only=True)


@dataclass(slots=True, eq=False)
class Paren(Node):
    """An expression in parentheses."""

    inner: Node
    close: Mark


@dataclass(slots=True, eq=False)
class Call(Node):
    """`function(args)`; `open` is the place of the bracket."""

    function: Node
    open: Place
    args: list[Node]
    close: Mark


@dataclass(slots=True, eq=False)
class ForClause(Node):
    """`for variables in over` of a comprehension."""

    variables: Node
    over: Node


@dataclass(slots=True, eq=False)
class IfClause(Node):
    """`if test` of a comprehension."""

    test: Node


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A list or, `curly`, a dict of a comprehension."""

    curly: bool
    body: Node
    clauses: list[Node]
    close: Mark


# ---------------------------------------------------------------- statements


@dataclass(slots=True, eq=False)
class Block(Node):
    """Comments that stand alone, in `after`."""


@dataclass(slots=True, eq=False)
class Loaded(Node):
    """A name of a load(): `local = "remote"`, or only the second where both are the same."""

    local: str
    remote: Text


@dataclass(slots=True, eq=False)
class Load(Node):
    """`load(module, names)`."""

    open: Place
    module: Text
    names: list[Loaded]
    close: Mark


@dataclass(slots=True, eq=False)
class Return(Node):
    """`return`, with a value or without."""

    value: Node | None


@dataclass(slots=True, eq=False)
class Word(Node):
    """`pass`, `break` or `continue`."""

    word: str


@dataclass(slots=True, eq=False)
class Def(Node):
    """A function; `params_at` is the place of the opening bracket, `close` of the other one.

    Comments before the closing bracket belong to the body.
    """

    name: str
    name_at: Place
    params_at: Place
    params: list[Node]
    close: Mark
    type: Node | None
    body: list[Node]

    @property
    def name_end(self) -> Place:
        """The place behind the name."""
        line, column, offset = self.name_at
        return Place(line, column + len(self.name), offset + len(self.name))


@dataclass(slots=True, eq=False)
class For(Node):
    """A loop."""

    variables: Node
    over: Node
    body: list[Node]


@dataclass(slots=True, eq=False)
class Branch(Node):
    """`if test:` or `elif test:` with its statements."""

    test: Node
    body: list[Node]


@dataclass(slots=True, eq=False)
class If(Node):
    """A chain of branches, and what holds where none does."""

    branches: list[Branch]
    other_at: Mark | None
    other: list[Node]


@dataclass(slots=True, eq=False)
class File(Node):
    """All statements of a file."""

    body: list[Node]


_OWN = frozenset(("before", "beside", "after"))


@cache
def _child_fields(kind: type) -> tuple[str, ...]:
    left_out = _OWN | {"start", "end"} | ({"close"} if kind is Def else set())
    return tuple(f.name for f in fields(kind) if f.name not in left_out)


def children(node: Node) -> Iterator[Node]:
    """The nodes right below this one, in the order of the text."""
    for name in _child_fields(type(node)):  # type: ignore[arg-type]  # its metaclass hashes
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif type(value) is list:
            yield from value


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, each before what is below it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(children(node)))
