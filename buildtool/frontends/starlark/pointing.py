"""What an error of a call is about: the argument itself, in the words of whoever called.

Starlark places an error at the first line of a call, which tells little where each
argument has a line of its own.
"""

import re
from collections.abc import Iterable

from buildtool.diag import BuildError, Span, suggestion
from buildtool.frontends.starlark.callsite import Source, line_of
from buildtool.frontends.starlark.formatting.format import deep
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.parse import parse

_EXTRA = re.compile(r"Found `(\w+)` extra named parameter\(s\) for call to (?:native\.)?`?(\w+)`?")
_MISSING = re.compile(r"Missing (?:named-only )?parameter `(\w+)` for call to `?(?:native\.)?(\w+)`?")
_UNDEFINED = re.compile(r"Variable `(\w+)` not found(?:, did you mean `(\w+)`\?)?")
_UNLOADABLE = re.compile(r"Module has no symbol `(\w+)`(?:, did you mean `(\w+)`\?)?")
_ARGUMENT = re.compile(r"(?:native\.)?(\w+)\(\): (?:it must hold that )?(\w+)")


def pointed(error: BuildError, source: Source, texts: Iterable[str]) -> BuildError:
    """The error, at the argument that it is about; `texts` are the files that functions may stand in."""
    if match := _EXTRA.fullmatch(error.message):
        name, function = match.groups()
        error.code, error.message = "bad-argument", f"{function}() has no argument {name}"
        error.hint = error.hint or suggestion(name, _parameters(function, texts))
        _move(error, source, (name,))
    elif match := _MISSING.fullmatch(error.message):
        error.code, error.message = "bad-argument", f"{match[2]}() needs the argument {match[1]}"
    elif match := _UNDEFINED.fullmatch(error.message):
        error.code, error.message = "undefined-name", f"{match[1]} is not defined"
        error.hint = error.hint or _loadable(match[1]) or (f"did you mean {match[2]}?" if match[2] else "")
    elif match := _UNLOADABLE.fullmatch(error.message):
        error.code, error.message = "undefined-name", f"the file that is loaded has no {match[1]}"
        error.hint = error.hint or _elsewhere(match[1]) or (f"did you mean {match[2]}?" if match[2] else "")
    elif error.code == "bad-argument" and (match := _ARGUMENT.match(error.message)):
        # What a rule hands on is often named as the function that it hands it to.
        _move(error, source, (match[2], match[1]))
    return error


def _move(error: BuildError, source: Source, names: tuple[str, ...]) -> None:
    """Place the error at the first of the named arguments that the call at its place has."""
    span = error.span
    text = source(span.file) if span else None
    if span is None or text is None:
        return
    call = _call(text, span)
    for name in names:
        for argument in call.args if call else []:
            if (
                isinstance(argument, t.Assign)
                and isinstance(argument.left, t.Name)
                and argument.left.id == name
            ):
                start, end = argument.start, argument.end
                row = line_of(source, span.file, start.line)
                error.span = Span(span.file, start.line, start.column, end.line, end.column, row)
                return


def _call(text: str, span: Span) -> t.Call | None:
    """The call that begins where a span does."""
    with deep():
        try:
            tree = parse(text, span.file)
        except BuildError:
            return None
    at = (span.line, span.column)
    calls = (node for node in t.walk(tree) if isinstance(node, t.Call))
    return next((call for call in calls if (call.start.line, call.start.column) == at), None)


def _parameters(function: str, texts: Iterable[str]) -> list[str]:
    """The names of a function's parameters, wherever it is defined."""
    begin = re.compile(rf"^def (?:_native_)?{re.escape(function)}\(([^)]*)\)", re.MULTILINE)
    for text in texts:
        if match := begin.search(text):
            return re.findall(r"(?:^|,)\s*(\w+)", match[1])
    return []


def _loadable(name: str) -> str:
    file = _file_of(name)
    return f'add load("{file}", "{name}")' if file else ""


def _elsewhere(name: str) -> str:
    file = _file_of(name)
    return f"{name} is in {file}" if file else ""


def _file_of(name: str) -> str | None:
    """The file with a rule of this name that comes with this tool."""
    from buildtool.frontends.starlark.lint.known import shipped_rules

    return shipped_rules().get(name)
