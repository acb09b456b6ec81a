"""Comments inside statements find their nodes.

A comment on a line of its own belongs to what begins next, the outermost of it; one
behind other text to what ended last, again the outermost of it.
"""

from collections.abc import Iterator

from buildtool.frontends.starlark.syntax.tree import (
    Block,
    Branch,
    Comment,
    Def,
    File,
    For,
    If,
    Node,
    children,
)

#: They end where their last statement does, which has the better claim to a comment there.
_COMPOUND = (File, Block, Def, For, If, Branch)


def attach(file: File, comments: list[Comment]) -> None:
    """Hand the comments, in the order of the text, to the nodes of a file."""
    own = [c for c in comments if c.own_line]
    nodes = list(_order(file)) if comments else []
    begun = [node for node, first in nodes if first]
    given = 0
    for node in begun:
        while given < len(own) and node is not file and node.start.offset >= own[given].at.offset:
            node.before.append(own[given])
            given += 1
    file.after += own[given:]
    beside = [c for c in comments if not c.own_line]
    for node in (node for node, first in reversed(nodes) if not first):
        while beside and not isinstance(node, _COMPOUND) and node.end.offset <= beside[-1].at.offset:
            node.beside.insert(0, beside.pop())
    file.before += beside


def _order(file: File) -> Iterator[tuple[Node, bool]]:
    """Each node twice: with True as it begins, with False as it ends."""
    waiting: list[tuple[Node, bool]] = [(file, True)]
    while waiting:
        node, first = waiting.pop()
        yield node, first
        if first:
            waiting.append((node, False))
            waiting += [(child, True) for child in reversed(list(children(node)))]
