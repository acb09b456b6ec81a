"""Marks: a Starlark text whose simple statements each note their line before they run.

Only needed when an evaluation killed its process: evaluated once more with marks, it
dies again, and the last mark is the line to show.  Columns are not kept.
"""

from buildtool.frontends.starlark.bounds import TOKEN

MARK = "_at"
_COMPOUND = frozenset(("def", "if", "elif", "else", "for", "load"))


def marked(text: str) -> str:
    """The text with `_at(LINE);` before every simple statement that begins a line."""
    starts: dict[int, int] = {}
    depth, line, fresh = 0, 1, True
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "line":
            fresh = depth == 0
            line += 1
            continue
        if fresh and kind not in ("space", "comment", "string") and token[0] not in _COMPOUND:
            starts[token.start()] = line
        if kind not in ("space", "comment"):
            fresh = False
        depth += (kind == "open") - (kind == "close")
        line += token[0].count("\n")
    out, last = [], 0
    for position, number in starts.items():
        out += [text[last:position], f"{MARK}({number});"]
        last = position
    return "".join(out) + text[last:]
