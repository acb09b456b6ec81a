"""Heredocs: which words of an instruction begin one.

`RUN`, `COPY` and `ADD`, and `ONBUILD` of those, take heredocs; their JSON forms
do not.  A word is one when it reads `[fd]<<[-]WORD`; quotes in WORD mean that the
body is not expanded.
"""

import re
from typing import NamedTuple

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.expand import Expander, Style

_TAKES = re.compile(r"(?:onbuild\s+)?(?:run|copy|add)(?=\s)", re.I)
_WORD = re.compile(r"\d*<<(-?)\s*([^<]*)", re.S)
_LINE = Style(raw_quotes=True, raw_escapes=True, keep_unset=True)


class HeredocWord(NamedTuple):
    """A word that begins a heredoc; `chomp` drops the body's leading tabs."""

    name: str
    expand: bool
    chomp: bool


def heredoc_words(line: str) -> list[HeredocWord]:
    """The heredocs that a logical line begins, in order."""
    if "<<" not in line:
        return []
    start = _TAKES.match(line)
    if start is None or is_json(line[start.end() :]):
        return []
    try:
        words = Expander(_LINE).words(line, {})
    except BuildError:
        # Such a line may be right for the shell that will read it; it has no heredoc of ours.
        return []
    return [found for found in map(heredoc_word, words) if found]


def heredoc_word(word: str) -> HeredocWord | None:
    """The heredoc that a word begins, if it does."""
    match = _WORD.fullmatch(word)
    if match is None or not match[2]:
        return None
    names = Expander(Style(keep_unset=True)).words(match[2], {})
    written = Expander(Style(keep_unset=True, raw_quotes=True)).words(match[2], {})
    if len(names) != 1 or len(written) != 1:
        return None
    # Quotes that are gone in the name quoted it; an escaped one is a part of it.
    quoted = _quotes(names[0]) != _quotes(written[0])
    return HeredocWord(names[0], not quoted, match[1] == "-")


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')


def without_tabs(body: str) -> str:
    """A body as `<<-` gives it: no tabs at the beginning of a line."""
    return re.sub(r"(?m)^\t+", "", body)


def is_json(arguments: str) -> bool:
    """Whether the arguments, flags passed over, are a JSON array of strings."""
    import json

    text = re.sub(r"(?:\s*--\S+)*\s*", "", arguments, count=1)
    if not text.startswith("["):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list)
