"""The bounds of a Starlark text, checked before anything parses it.

The Starlark parser and compiler recurse over nesting and over long chains of
operators, and die of a deep one.  One pass over the tokens finds these first, so
that they are errors with a place; `MAX_*` lie far above what a person writes and
far below what the parser survives on the stack that it is given.
"""

import re
import string

from buildtool.diag import BuildError, Span

MAX_BYTES = 1 << 20
MAX_NESTING = 200
MAX_CHAIN = 1_000

TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r]+ | \\\n )
    | (?P<comment> \#[^\n]* )
    | (?P<string>  [rRbBfF]{0,2}(?: \"\"\"(?:\\.|[^\\])*?\"\"\" | \'\'\'(?:\\.|[^\\])*?\'\'\'
                                  | \"(?:\\.|[^\\\"\n])*\"      | \'(?:\\.|[^\\\'\n])*\' ) )
    | (?P<line>    \n )
    | (?P<open>    [(\[{] )
    | (?P<close>   [)\]}] )
    | (?P<comma>   , )
    | (?P<word>    [A-Za-z_][A-Za-z_0-9]* )
    | (?P<number>  [0-9][0-9A-Za-z_]* )
    | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_OPERATORS = (string.ascii_letters + string.digits + "_, \r\n([{").encode()
_CHAINING_WORDS = frozenset(("not", "and", "or", "if", "else", "elif", "lambda", "in", "for"))


def decode(data: bytes, file: str) -> str:
    """The text of a Starlark file within the bounds; BuildError `starlark-too-big` or `starlark-not-text`."""
    if len(data) > MAX_BYTES:
        raise BuildError(
            "starlark-too-big",
            f"{file} has {len(data):,} bytes; a Starlark file may have {MAX_BYTES:,}",
            span=Span(file, 1),
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise BuildError("starlark-not-text", f"{file} is not UTF-8", span=Span(file, line)) from None
    return text.removeprefix("\ufeff")


def check(text: str, file: str) -> None:
    """BuildError `starlark-too-deep` where brackets, blocks or an expression nest out of bounds."""
    if _is_modest(text):
        return
    chains = [0]
    elifs = 0
    fresh = True
    line = 1
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "line":
            line += 1
            fresh = len(chains) == 1
            if fresh:
                chains[0] = 0
            continue
        if kind == "space":
            if fresh and len(token[0].expandtabs(8)) > MAX_NESTING:
                raise _deep(text, file, line, "blocks are indented")
            line += token[0].count("\n")
            continue
        fresh = False
        if kind == "open":
            chains.append(0)
            if len(chains) > MAX_NESTING:
                raise _deep(text, file, line, "brackets are nested")
        elif kind == "comma":
            chains[-1] = 0
        else:
            if kind == "close" and len(chains) > 1:
                chains.pop()
            if kind in ("close", "other") or token[0] in _CHAINING_WORDS:
                chains[-1] += 1
            elifs += token[0] == "elif"
            if max(chains[-1], elifs) > MAX_CHAIN:
                raise _deep(text, file, line, "operations are chained")
            line += token[0].count("\n")


def _is_modest(text: str) -> bool:
    """Whether the whole text has fewer brackets and operators than one place may have: a quick look."""
    data = text.encode()
    operators = len(data.translate(None, _NO_OPERATORS)) + sum(text.count(w) for w in _CHAINING_WORDS)
    brackets = sum(text.count(c) for c in "([{")
    return (
        operators < MAX_CHAIN
        and brackets < MAX_NESTING
        and " " * MAX_NESTING not in text
        and "\t" not in text
    )


def _deep(text: str, file: str, line: int, what: str) -> BuildError:
    rows = text.split("\n", line)
    return BuildError(
        "starlark-too-deep",
        f"{what} too deeply here",
        span=Span(file, line, excerpt=rows[line - 1] if line <= len(rows) else ""),
        hint="split it into several values with names",
    )
