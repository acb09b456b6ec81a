"""Rules on docstrings of libraries: what `load()` offers is explained where it stands."""

import re
from collections.abc import Iterator

from buildtool.frontends.starlark.lint.rule import Broken, Facts, Rule, broken
from buildtool.frontends.starlark.syntax import tree as t

_ARGUMENT = re.compile(r"^  (\*{0,2}\w+)(?: \([^)]*\))?:")
_SECTION = re.compile(r"^[A-Z][a-z]+:$")


def _module(facts: Facts) -> Iterator[Broken]:
    statements = [node for node in facts.file.body if not isinstance(node, t.Block)]
    if not facts.package and statements and not isinstance(statements[0], t.Text):
        yield broken(statements[0], "the file has no docstring", 'begin it with """What it is for."""')


def _public(facts: Facts) -> Iterator[t.Def]:
    """The functions that other files can load."""
    if not facts.package:
        for node in facts.file.body:
            if isinstance(node, t.Def) and not node.name.startswith("_"):
                yield node


def _function(facts: Facts) -> Iterator[Broken]:
    for function in _public(facts):
        if _docstring(function) is None:
            yield _at_name(function, f"{function.name}() has no docstring")


def _header(facts: Facts) -> Iterator[Broken]:
    for function in _public(facts):
        text = _docstring(function)
        rows = _rows(text) if text else []
        if text and (not rows or not rows[0] or (len(rows) > 1 and rows[1])):
            yield broken(
                text, f"the docstring of {function.name}() does not begin with one line and a blank one"
            )


def _arguments(facts: Facts) -> Iterator[Broken]:
    for function in _public(facts):
        text = _docstring(function)
        if text is None:
            continue
        told = list(_told(_rows(text)))
        names = [name for param in function.params if (name := _name(param))]
        for name in names:
            if name not in told and name.lstrip("*") not in told:
                yield _at_name(function, f"the docstring of {function.name}() does not tell of {name}")
        for name in told:
            if name.lstrip("*") not in [n.lstrip("*") for n in names]:
                yield broken(text, f"{function.name}() has no argument {name}, which its docstring tells of")


def _docstring(function: t.Def) -> t.Text | None:
    first = next((node for node in function.body if not isinstance(node, t.Block)), None)
    return first if isinstance(first, t.Text) else None


def _rows(text: t.Text) -> list[str]:
    """The lines of a docstring without its quotes and its indentation."""
    from inspect import cleandoc

    return cleandoc(text.token.lstrip("rR").strip("\"'")).split("\n")


def _told(rows: list[str]) -> Iterator[str]:
    """The arguments that a docstring tells of."""
    inside = False
    for row in rows:
        if _SECTION.match(row):
            inside = row in ("Args:", "Arguments:")
        elif inside and (match := _ARGUMENT.match(row)):
            yield match[1]


def _name(param: t.Node) -> str:
    """The name of a parameter with its stars; nothing for the star that stands alone."""
    if isinstance(param, t.Unary):
        return param.op + _name(param.operand) if param.operand else ""
    inner = param.left if isinstance(param, t.Assign) else param
    inner = inner.name if isinstance(inner, t.Typed) else inner
    return inner.id if isinstance(inner, t.Name) else ""


def _at_name(function: t.Def, message: str) -> Broken:
    return Broken(function.name_at, function.name_end, message)


_APP = '''def app(name):
    """An app.

    Args:
      name: name of the target.
    """
    native.image(name)
'''

RULES = (
    Rule(
        "module-docstring",
        "note",
        "A library begins with a docstring.",
        "Whoever looks for a rule opens the file and reads its first line.",
        'begin the file with """What it is for."""',
        _APP,
        f'"""Apps."""\n\n{_APP}',
        _module,
        library=True,
    ),
    Rule(
        "function-docstring",
        "note",
        "Every function that can be loaded has a docstring.",
        "A rule is used by people who do not read its body. Names that begin with `_` are for the file"
        " alone and need none.",
        "say in a docstring what the function makes",
        '"""Apps."""\n\ndef app(name):\n    native.image(name)\n',
        f'"""Apps."""\n\n{_APP}',
        _function,
        library=True,
    ),
    Rule(
        "function-docstring-header",
        "note",
        "A docstring begins with one line, and a blank one where more follows.",
        "The first line is what lists and references show.",
        "sum the function up in one line",
        '"""Apps."""\n\ndef app():\n    """An app\n    that waits."""\n    native.image("app")\n',
        '"""Apps."""\n\ndef app():\n    """An app that waits."""\n    native.image("app")\n',
        _header,
        library=True,
    ),
    Rule(
        "function-docstring-args",
        "note",
        "A docstring tells of the arguments that there are.",
        "The list of arguments is the part of a docstring that is read most often, and the first to be out of"
        " date.",
        "tell of each argument below `Args:`",
        f'"""Apps."""\n\n{_APP}'.replace("name)", "name, port = 80)"),
        f'"""Apps."""\n\n{_APP}'.replace("name)", "name, port = 80)").replace(
            "target.", "target.\n      port: the port to listen on."
        ),
        _arguments,
        library=True,
    ),
)
