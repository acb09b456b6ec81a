"""What the formatter moves or mends, beside the layout.  None of it changes what a file means.

In files of packages, where calls declare targets, named arguments are put in order, lists
that are sets are sorted and labels are shortened; in all files, loads come first and are
sorted (`loads`).  A comment turns it off: `# do not sort` at a list, `# buildifier:
leave-alone` at a call.
"""

import re
from collections.abc import Iterator

from buildtool.frontends.starlark.formatting import tables
from buildtool.frontends.starlark.formatting.loads import arrange_loads
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.tree import Node, children, walk

_LABEL = re.compile(r"(//(?:.*/)?([^:/]+)):([^:]+)")


def rewrite(file: t.File, *, package: bool) -> None:
    """Rewrite a tree in place; `package` is whether it is a BUILD file."""
    if package:
        _remove_parens(file)
        for call in _calls(file, False):
            _arrange(call)
            _lists(call)
        _join_lines(file)
    _keep_sorted(file)
    arrange_loads(file)
    for node in walk(file):
        if isinstance(node, t.Call):
            node.args.sort(key=_place)


def says(node: Node, text: str) -> bool:
    """Whether a comment above a node has a text, in any case."""
    return any(text in comment.text.lower() for comment in node.before)


def _calls(node: Node, alone: bool) -> Iterator[t.Call]:
    """Calls of functions by name that are not to be left alone, the outer ones first."""
    alone = alone or says(node, "buildifier: leave-alone")
    if alone:
        return
    if isinstance(node, t.Call) and _called(node):
        yield node
    for child in children(node):
        yield from _calls(child, alone)


def _place(argument: Node) -> int:
    """The order that calls need: positional, named, `*`, `**`."""
    if isinstance(argument, t.Unary) and argument.op in ("*", "**"):
        return 1 + len(argument.op)
    return int(isinstance(argument, t.Assign))


def _named(argument: Node) -> str:
    if isinstance(argument, t.Assign) and isinstance(argument.left, t.Name):
        return argument.left.id
    return ""


def _called(call: t.Call) -> str:
    """The name of the function that is called, also as one of `native`."""
    function = call.function
    if isinstance(function, t.Dot) and isinstance(function.value, t.Name) and function.value.id == "native":
        return function.name
    return function.id if isinstance(function, t.Name) else ""


def _arrange(call: t.Call) -> None:
    """The named arguments at the end of a call, in order."""
    if _called(call) in tables.IN_ORDER:
        return
    start = len(call.args)
    while start and _named(call.args[start - 1]):
        start -= 1
    tail = call.args[start:]
    tail.sort(key=lambda a: (tables.PRIORITY.get(_named(a), 0), _named(a)))
    call.args[start:] = tail


# ---------------------------------------------------------------- lists


def _lists(call: t.Call) -> None:
    for argument in call.args:
        name = _named(argument)
        if not isinstance(argument, t.Assign) or says(argument, "buildifier: leave-alone"):
            continue
        value = argument.right
        if name in tables.LABELS:
            for text in value.items if isinstance(value, t.Brackets) and value.kind == "list" else [value]:
                _shorten(text)
        if name in tables.SORTED and _called(call) not in tables.IN_ORDER_LISTS:
            for part in _parts(value):
                if says(argument, "do not sort"):
                    _once(part)
                else:
                    _sort(part)


def _parts(node: Node) -> Iterator[Node]:
    """The lists that a value is put together of."""
    if isinstance(node, t.Binary) and node.op == "+":
        yield from _parts(node.left)
        yield from _parts(node.right)
    elif isinstance(node, t.Call) and _called(node) == "select":
        for dict_ in node.args[:1]:
            for pair in dict_.items if isinstance(dict_, t.Brackets) else []:
                yield from _parts(pair.value) if isinstance(pair, t.Pair) else ()
    else:
        yield node


def _shorten(node: Node) -> None:
    if isinstance(node, t.Text) and not says(node, "buildifier: leave-alone"):
        match = _LABEL.fullmatch(_value(node))
        if match and match[2] == match[3]:
            node.token = node.token.replace(_value(node), match[1])


def _keep_sorted(file: t.File) -> None:
    for node in walk(file):
        if isinstance(node, t.Assign | t.Pair) and says(node, "keep sorted"):
            _sort(node.right if isinstance(node, t.Assign) else node.value)
        elif isinstance(node, t.Brackets) and any(says(n, "keep sorted") for n in (node, *node.items[:1])):
            _sort(node)


def _sort(node: Node) -> None:
    """Sort a list of texts, in the stretches between comments and what is no text; each text once.

    A list with comments between its items says more than its order does, and keeps it.
    """
    if not isinstance(node, t.Brackets) or node.kind != "list" or len(node.items) < 2:
        return
    forced = says(node, "keep sorted") or says(node.items[0], "keep sorted")
    commented = bool(node.before or node.close.before or any(item.before for item in node.items))
    if says(node.items[0], "do not sort") or (commented and not forced):
        _once(node)
        return
    sorted_items: list[Node] = []
    stretch: list[t.Text] = []
    for item in node.items:
        if not isinstance(item, t.Text) or (item.before and stretch):
            sorted_items += _stretch(stretch)
            stretch = []
        if isinstance(item, t.Text):
            stretch.append(item)
        else:
            sorted_items.append(item)
    node.items = [*sorted_items, *_stretch(stretch)]


def _stretch(texts: list[t.Text]) -> list[t.Text]:
    if not texts:
        return []
    above, texts[0].before = texts[0].before, []
    found: dict[str, t.Text] = {}
    for text in sorted(texts, key=lambda x: _key(_value(x))):
        found.setdefault(_value(text), text)
    texts = list(found.values())
    texts[0].before = above
    return texts


def _key(value: str) -> tuple[int, list[str], str]:
    """Names first, then `:x`, `//x` and `@x`; in each by the parts between dots and colons."""
    phase = 1 if value.startswith(":") else 2 if value.startswith("//") else 3 if value.startswith("@") else 0
    return phase, value.replace(":", ".").split("."), value


def _once(node: Node) -> None:
    """Each text of a list once, where it stands first; comments of the others move to what follows."""
    if not isinstance(node, t.Brackets) or node.kind != "list":
        return
    seen: set[str] = set()
    kept: list[Node] = []
    moved: list[t.Comment] = []
    for item in node.items:
        if isinstance(item, t.Text):
            if _value(item) in seen:
                moved += [*item.before, *item.beside]
                continue
            seen.add(_value(item))
        item.before = [*moved, *item.before]
        moved = []
        kept.append(item)
    node.items = kept
    node.close.before = [*moved, *node.close.before]


def _value(text: t.Text) -> str:
    """What a text is, as far as comparing needs it: without prefix and quotes."""
    body = text.token.lstrip("rRbBfF")
    quotes = 3 if body[:3] in ('"""', "'" * 3) else 1
    return body[quotes:-quotes]


# ---------------------------------------------------------------- layout that moves

_PLAIN = (t.Brackets, t.Comprehension, t.Name, t.Number, t.Paren, t.Text)


def _remove_parens(node: Node) -> None:
    """Parentheses around what needs none go, unless they spread over lines or have comments."""
    for holder in list(walk(node)):
        for name in type(holder).__dataclass_fields__:
            value = getattr(holder, name, None)
            if isinstance(value, t.Paren):
                setattr(holder, name, _bare(value))
            elif isinstance(value, list):
                value[:] = [_bare(v) if isinstance(v, t.Paren) else v for v in value]


def _bare(node: Node) -> Node:
    while isinstance(node, t.Paren):
        inner = node.inner
        spread = node.start.line != inner.start.line or node.close.start.line != inner.end.line
        noted = node.before or node.beside or node.after or node.close.before or node.close.beside
        if spread or noted or not _needs_none(inner):
            break
        node = inner
    return node


def _needs_none(node: Node) -> bool:
    if isinstance(node, t.Call):
        return node.function.start.line == node.function.end.line
    return isinstance(node, _PLAIN) and not (isinstance(node, t.Brackets) and node.kind == "tuple")


def _join_lines(file: t.File) -> None:
    """A list or a call after `+` begins on the line of the `+`, and spreads over lines itself."""
    done: set[int] = set()
    for node in walk(file):
        if not isinstance(node, t.Binary) or node.op != "+" or id(node) in done:
            continue
        sums = [node]
        while isinstance(sums[-1].left, t.Binary) and sums[-1].left.op == "+":
            sums.append(sums[-1].left)
        done.update(map(id, sums))
        if not any(_is_list(s.right) for s in sums) and not _is_list(sums[-1].left):
            continue
        for one in sums:
            before = one.left.right if isinstance(one.left, t.Binary) and one.left in sums else one.left
            if one.broken and (_spread(one.right) or _is_spread(before)):
                one.broken = False


def _only(node: Node) -> Node | None:
    """The one argument of a call."""
    return node.args[0] if isinstance(node, t.Call) and len(node.args) == 1 else None


def _is_list(node: Node | None) -> bool:
    while node is not None and not (isinstance(node, t.Brackets) and node.kind == "list"):
        node = _only(node)
    return node is not None


def _is_spread(node: Node | None) -> bool:
    if isinstance(node, t.Brackets) and node.kind == "list":
        return node.forced or len(node.items) > 1 or multiline(node)
    if isinstance(node, t.Call):
        compact = simple(node.open, node.args, node.close)
        return multiline(node) or (len(node.args) > 1 and not compact) or _is_spread(_only(node))
    return False


def _spread(node: Node | None) -> bool:
    """Let a list spread over lines; whether there is one."""
    while isinstance(node, t.Call):
        node = _only(node)
    if not isinstance(node, t.Brackets) or node.kind != "list":
        return False
    if not node.forced and not multiline(node) and len(node.items) == 1 and _spread(node.items[0]):
        return True
    node.forced = True
    return True


def multiline(node: t.Brackets | t.Call | t.Paren) -> bool:
    """Whether brackets with at most one item are spread over lines in the text."""
    opened = node.open if isinstance(node, t.Call) else node.start
    items = (
        [node.inner] if isinstance(node, t.Paren) else node.args if isinstance(node, t.Call) else node.items
    )
    if len(items) > 1:
        return False
    if not items:
        return not isinstance(node, t.Call) and opened.line != node.close.start.line
    return opened.line != items[0].start.line or node.close.start.line != items[0].end.line


def simple(opened: t.Place, items: list[Node], close: t.Mark) -> bool:
    """Whether several plain values stand on one line with their brackets, so that they stay there."""
    if len(items) < 2:
        return False
    line = opened.line
    for item in items:
        if item.start.line != line or not _is_simple(item):
            return False
        line = item.end.line
    return close.start.line == line


def _is_simple(node: Node) -> bool:
    if isinstance(node, t.Unary):
        return isinstance(node.operand, t.Name | t.Number)
    if isinstance(node, t.Brackets):
        return not node.items and node.kind != "bare"
    return isinstance(node, t.Name | t.Number | t.Text)
