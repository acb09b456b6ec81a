"""The commands of a shell text, as far as a lint rule needs them: words, without carrying anything out."""

import re
from collections.abc import Iterator

from buildtool.frontends.dockerfile import tree

#: Quoted text, an escaped character, what ends a command, spaces, and anything else.
_TOKEN = re.compile(
    r"""(?P<single>'[^']*'?)|(?P<double>"(?:[^"\\]|\\.)*"?)|(?P<escaped>\\.)|(?P<comment>(?:(?<=\s)|^)\#[^\n]*)"""
    r"""|(?P<end>\$\(|[\n;|&(){}`]+)|(?P<space>[ \t\r\f\v]+)|(?P<plain>[^\s'"\\;|&(){}`$]+|.)""",
    re.X | re.S | re.M,
)
#: Words in front of a command that are none themselves.
_BEFORE = {
    *("sudo", "exec", "command", "env", "time", "nice", "nohup", "xargs", "!"),
    *("if", "then", "else", "elif", "while", "until", "do"),
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def text_of(node: tree.Run) -> str:
    """The text that the shell of a RUN reads, with its heredocs; of the JSON form, its words."""
    text = " ".join(node.command.words)
    return "".join([text, *(f"\n{heredoc.body}" for heredoc in node.heredocs)])


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command, the program first; quotes are gone, variables stay as they are written."""
    words: list[str] = []
    word: list[str] | None = None
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup, match[0]
        if kind == "double" and "$(" in piece:
            yield from commands(piece[piece.index("$(") + 2 :].strip('"'))
        if kind in ("plain", "single", "double", "escaped"):
            word = word if word is not None else []
            word.append(_unquoted(kind or "", piece))
            continue
        if word is not None:
            words.append("".join(word))
            word = None
        if kind == "end":
            yield from _command(words)
            words = []
    if word is not None:
        words.append("".join(word))
    yield from _command(words)


def _unquoted(kind: str, piece: str) -> str:
    if kind == "escaped":
        return piece[1:].strip("\n")
    return piece.strip("'\"") if kind in ("single", "double") else piece


def _command(words: list[str]) -> Iterator[list[str]]:
    start = 0
    while start < len(words) and (words[start] in _BEFORE or _ASSIGNMENT.match(words[start])):
        start += 1
    if start < len(words):
        yield words[start:]
