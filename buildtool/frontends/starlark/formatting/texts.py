"""How literal strings are written: in double quotes where that takes no backslash; docstrings indented."""

import re

_ESCAPE = re.compile(r"\\(.)|'", re.DOTALL)
_KNOWN = frozenset("\nabfnrtuUvx'\\\"01234567")


def quoted(token: str) -> str:
    """A literal string in the preferred quotes; the value is the same."""
    prefix = token[: len(token) - len(token.lstrip("rRbBfF"))]
    body = token[len(prefix) :]
    quotes = body[:3] if body[:3] in ('"""', "'''") else body[0]
    inner = body[len(quotes) : -len(quotes)]
    raw = "r" in prefix.lower()
    if quotes[0] == "'" and '"' not in inner:
        quotes = '"' * len(quotes)
        if not raw:
            inner = _ESCAPE.sub(lambda m: "'" if m[0] == "\\'" else m[0], inner)
    if not raw:
        inner = _ESCAPE.sub(lambda m: "\\" + m[0] if m[1] and m[1] not in _KNOWN else m[0], inner)
    return f"{prefix}{quotes}{inner}{quotes}"


def indented(token: str, old: int, new: int) -> str:
    """A docstring whose lines are moved from one indentation, in columns, to another."""
    first, *rows = token.split("\n")
    moved = []
    for number, row in enumerate(rows):
        if new > old:
            row = " " * (new - old) + row
        else:
            row = row[min(old - new, len(row) - len(row.lstrip(" "))) :]
        moved.append(row if number == len(rows) - 1 else row.rstrip(" "))
    return "\n".join([first.rstrip(" ") if rows else first, *moved])
