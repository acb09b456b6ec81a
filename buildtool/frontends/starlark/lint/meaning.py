"""Rules on expressions and statements that do nothing, or something else than they seem to."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from buildtool.frontends.starlark.lint.rule import Broken, Facts, Rule, broken
from buildtool.frontends.starlark.syntax import tree as t

_WORDS = ("break", "continue")


def _duplicate_key(facts: Facts) -> Iterator[Broken]:
    for node in t.walk(facts.file):
        if not isinstance(node, t.Brackets) or node.kind != "dict":
            continue
        seen: dict[str, t.Node] = {}
        for pair in node.items:
            key = pair.key if isinstance(pair, t.Pair) else None
            if not isinstance(key, t.Text | t.Number):
                continue
            first = seen.setdefault(_plain(key), key)
            if first is not key:
                text = f"the key {key.token} stands in line {first.start.line} of this dict already"
                yield broken(key, text)


def _plain(key: t.Text | t.Number) -> str:
    """What a key is, as far as its text tells: the same for 'a' and "a"."""
    return repr(key.token[1:-1]) if isinstance(key, t.Text) and key.token[0] in "\"'" else key.token


def _no_effect(facts: Facts) -> Iterator[Broken]:
    for body in facts.bodies():
        for number, node in enumerate(body):
            if isinstance(node, t.Text) and number == 0:
                continue
            if isinstance(node, t.Comprehension | t.Call | t.Load | t.Return | t.Word | t.Block | t.Assign):
                continue
            if not isinstance(node, t.Def | t.For | t.If | t.Typed):
                yield broken(node, "the value of this expression is not used", "assign it, or remove it")


def _unreachable(facts: Facts) -> Iterator[Broken]:
    for body in facts.bodies():
        statements = [node for node in body if not isinstance(node, t.Block)]
        for node, following in pairwise(statements):
            if _ends(node):
                yield broken(following, "this statement is never reached")
                break


def _ends(node: t.Node) -> bool:
    """Whether nothing behind a statement is reached."""
    if isinstance(node, t.Return) or (isinstance(node, t.Word) and node.word in _WORDS):
        return True
    if isinstance(node, t.Call) and isinstance(node.function, t.Name):
        return node.function.id == "fail"
    if isinstance(node, t.If) and node.other:
        return all(_body_ends(body) for body in (*(b.body for b in node.branches), node.other))
    return False


def _body_ends(body: list[t.Node]) -> bool:
    return any(_ends(node) for node in body)


def _return_value(facts: Facts) -> Iterator[Broken]:
    for function in facts.functions():
        returns = list(_returns(function.body))
        if not any(r.value is not None for r in returns):
            continue
        for node in returns:
            if node.value is None:
                yield broken(node, f"{function.name}() returns a value elsewhere, and none here")
        if not _body_ends(function.body):
            text = f"{function.name}() returns a value on some ways, and none at its end"
            yield Broken(function.name_at, function.name_end, text)


def _returns(body: list[t.Node]) -> Iterator[t.Return]:
    for node in body:
        if isinstance(node, t.Return):
            yield node
        elif isinstance(node, t.For):
            yield from _returns(node.body)
        elif isinstance(node, t.If):
            for branch in node.branches:
                yield from _returns(branch.body)
            yield from _returns(node.other)


def _print(facts: Facts) -> Iterator[Broken]:
    for node in t.walk(facts.file):
        if isinstance(node, t.Call) and isinstance(node.function, t.Name) and node.function.id == "print":
            yield broken(node, "print() shows a line to everyone who builds")


def _positional(facts: Facts) -> Iterator[Broken]:
    if not facts.package:
        return
    loaded = {name for name, b in facts.names.module.names.items() if b.kind == "load"}
    for node in facts.file.body:
        if isinstance(node, t.Call) and isinstance(node.function, t.Name) and node.function.id in loaded:
            for argument in node.args:
                if not isinstance(argument, t.Assign | t.Unary):
                    text = f"an argument of {node.function.id}() has no name"
                    yield broken(argument, text, "write name = value")
                    break


def _list_append(facts: Facts) -> Iterator[Broken]:
    for node in t.walk(facts.file):
        if _appends(node) is not None:
            yield broken(node, "one item is added by a list of one", "call append()")


def _appends(node: t.Node) -> t.Node | None:
    """The one item of `x += [item]`."""
    if not isinstance(node, t.Assign) or node.op != "+=":
        return None
    items = node.right.items if isinstance(node.right, t.Brackets) and node.right.kind == "list" else []
    return items[0] if len(items) == 1 and isinstance(node.left, t.Name) else None


def _append(facts: Facts, kept: Callable[[t.Place], bool]) -> None:
    for body in facts.bodies():
        for number, node in enumerate(body):
            item = _appends(node)
            if item is None or kept(node.start):
                continue
            assert isinstance(node, t.Assign)
            dot = t.Dot(node.left.start, node.left.end, node.left, "append", node.left.end)
            close = t.Mark(item.end, item.end)
            call = t.Call(node.start, node.end, dot, item.start, [item], close)
            call.before, call.beside, call.after = node.before, node.beside, node.after
            body[number] = call


def _string_concatenation(facts: Facts) -> Iterator[Broken]:
    for node in t.walk(facts.file):
        if isinstance(node, t.Binary) and node.op == "+" and not node.broken:
            left = node.left.right if isinstance(node.left, t.Binary) and node.left.op == "+" else node.left
            if isinstance(left, t.Text) and isinstance(node.right, t.Text):
                yield Broken(left.start, node.end, "two literal texts are put together", "write them as one")


def _constant_glob(facts: Facts) -> Iterator[Broken]:
    for node in t.walk(facts.file):
        if not (
            isinstance(node, t.Call) and isinstance(node.function, t.Name) and node.function.id == "glob"
        ):
            continue
        for argument in node.args[:1]:
            value = argument.right if isinstance(argument, t.Assign) else argument
            for item in value.items if isinstance(value, t.Brackets) else []:
                if isinstance(item, t.Text) and not set("*?[") & set(item.token):
                    text = f"{item.token} is the name of one file, not a pattern"
                    yield broken(item, text, "name it beside the glob(): [FILE] + glob(...)")


RULES = (
    Rule(
        "duplicate-key",
        "warning",
        "The keys of a dict differ.",
        "Of two entries with one key only one can count, and the evaluator refuses the dict.",
        "remove one of the entries",
        'load("@rules//image.star", "image")\n\nimage(name = "app", env = {"A": "1", "B": "2", "A": "3"})\n',
        'load("@rules//image.star", "image")\n\nimage(name = "app", env = {"A": "3", "B": "2"})\n',
        _duplicate_key,
    ),
    Rule(
        "no-effect",
        "warning",
        "Every expression is used.",
        "A statement that only computes a value does nothing. Steps such as `run(...)` are values too: what"
        " counts is the list that a target gets.",
        "assign the value, or remove the statement",
        'STEPS = [run("make")]\nSTEPS + [run("make install")]\n',
        'STEPS = [run("make")] + [run("make install")]\n',
        _no_effect,
        library=True,
    ),
    Rule(
        "unreachable",
        "warning",
        "Every statement can be reached.",
        "What follows a return or a fail() never runs.",
        "remove the statement, or the one that ends before it",
        'def port():\n    """The port."""\n    return 80\n    return 8080\n',
        'def port():\n    """The port."""\n    return 80\n',
        _unreachable,
        library=True,
    ),
    Rule(
        "return-value",
        "warning",
        "A function returns a value on all ways or on none.",
        "A way that ends without a return returns None, which then stands in somebody's list of steps.",
        "return a value at the end as well, or call fail() there",
        'def steps(debug):\n    """Steps."""\n    if debug:\n        return [run("true")]\n',
        'def steps(debug):\n    """Steps."""\n    if debug:\n        return [run("true")]\n    return []\n',
        _return_value,
        library=True,
    ),
    Rule(
        "print",
        "warning",
        "No print() stays behind.",
        "print() is for finding a mistake. Everyone who builds sees its lines, though only the author knows"
        " what they are about. fail() says what is wrong, with the place.",
        "remove the call",
        'def port(value):\n    """The port."""\n    print(value)\n    return value\n',
        'def port(value):\n    """The port."""\n    return value\n',
        _print,
        library=True,
    ),
    Rule(
        "positional-args",
        "note",
        "Rules are called with named arguments.",
        "A call that names its arguments is read without knowing the rule, and can be sorted and searched.",
        "write name = value",
        'load("@rules//image.star", "image")\n\nimage("app")\n',
        'load("@rules//image.star", "image")\n\nimage(name = "app")\n',
        _positional,
    ),
    Rule(
        "list-append",
        "note",
        "One item is added to a list by append().",
        "`x += [item]` makes a list to throw it away, and says less clearly what is meant.",
        "write x.append(item)",
        'def flags(debug):\n    """Flags."""\n    found = ["-O2"]\n    if debug:\n'
        '        found += ["-g"]\n    return found\n',
        'def flags(debug):\n    """Flags."""\n    found = ["-O2"]\n    if debug:\n'
        '        found.append("-g")\n    return found\n',
        _list_append,
        _append,
        library=True,
    ),
    Rule(
        "string-concatenation",
        "note",
        "A literal text is written in one piece.",
        "A text in two pieces cannot be searched for. Two lines may be joined with `+`.",
        "write the two as one",
        'IMAGE = "debian:" + "12"\n',
        'IMAGE = "debian:12"\n',
        _string_concatenation,
        library=True,
    ),
    Rule(
        "constant-glob",
        "note",
        "glob() is given patterns.",
        "A name without `*` in a glob() matches nothing where the file is missing, silently; as a plain"
        " name, it would be an error that says so.",
        "name the file beside the glob()",
        'filegroup(name = "files", srcs = glob(["LICENSE", "src/**"]))\n',
        'filegroup(name = "files", srcs = ["LICENSE"] + glob(["src/**"]))\n',
        _constant_glob,
    ),
)
