"""Loads that a file does not need: an error, because each is a file that the package depends on."""

import starlark as sl

from buildtool.diag import BuildError, BuildErrors, Span

_UNUSED = "unused-load"


def unused_loads(ast: sl.AstModule, file: str, text: str) -> BuildError | None:
    """The error `unused-load` at the names that `load()` brings and nothing uses.

    A loaded name cannot be loaded from the file again, so what the file does not use is of no use.
    """
    if not ast.loads():
        return None
    rows = text.split("\n")
    found = []
    for lint in ast.lint():
        if lint.short_name == _UNUSED:
            begin, end = lint.resolved_location.span.begin, lint.resolved_location.span.end
            excerpt = rows[begin.line]
            span = Span(file, begin.line + 1, begin.column + 1, end.line + 1, end.column + 1, excerpt)
            name = excerpt[begin.column : end.column].split("=")[0].strip(" \"'")
            found.append(_unused(name, span))
    if len(found) > 1:
        return BuildErrors(found)
    return found[0] if found else None


def _unused(name: str, span: Span) -> BuildError:
    return BuildError(_UNUSED, f"{name} is loaded and not used", span=span, hint="remove it from the load()")
