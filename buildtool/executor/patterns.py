"""Patterns of COPY sources: Go's `filepath.Match`, and the split of a path around its first pattern."""

import functools
import re


def has_wildcards(path: str) -> bool:
    """Whether the path holds an unescaped `*`, `?` or `[`."""
    escaped = False
    for c in path:
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c in "*?[":
            return True
    return False


def split_wildcards(path: str) -> tuple[str, str]:
    """The components before the first one with a pattern, and the rest."""
    parts = path.split("/")
    for n, part in enumerate(parts):
        if has_wildcards(part):
            return "/".join(parts[:n]), "/".join(parts[n:])
    return path, ""


@functools.lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression over a whole relative path; ValueError for a bad one.

    `*` and `?` never match a slash, so `**` is no more than `*`.
    """
    out, i = [], 0
    while i < len(pattern):
        c = pattern[i]
        if c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[":
            text, i = _class(pattern, i + 1)
            out.append(text)
        elif c == "\\":
            i += 1
            if i == len(pattern):
                raise ValueError("a pattern ends in an escape")
            out.append(re.escape(pattern[i]))
        else:
            out.append(re.escape(c))
        i += 1
    return re.compile("".join(out), re.S)


def matches(pattern: str, path: str) -> bool:
    """Whether `path` as a whole matches."""
    return compiled(pattern).fullmatch(path) is not None


def _class(pattern: str, i: int) -> tuple[str, int]:
    """A bracket expression from behind its `[`: the regular expression and the index of its `]`."""
    negated = pattern[i : i + 1] == "^"
    i += negated
    ranges: list[str] = []
    while i < len(pattern) and (pattern[i] != "]" or not ranges):
        low, i = _member(pattern, i)
        high = low
        if pattern[i : i + 1] == "-":
            high, i = _member(pattern, i + 1)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    if i >= len(pattern):
        raise ValueError("a bracket is not closed")
    inside = "".join(ranges)
    if not inside:
        return ("[^/]" if negated else "(?!)"), i
    return (f"(?!/)[^{inside}]" if negated else f"(?!/)[{inside}]"), i


def _member(pattern: str, i: int) -> tuple[str, int]:
    escaped = pattern[i : i + 1] == "\\"
    i += escaped
    if i >= len(pattern) or (not escaped and pattern[i] in "-]"):
        raise ValueError("a bracket expression is not right")
    return pattern[i], i + 1
