"""Shell patterns of `*` and `?`, as variables are trimmed and replaced with.

A pattern is matched piece by piece between its stars, which is linear in the
text for each piece, whatever the pattern; a regular expression would try again
and again.
"""

import re
from collections.abc import Iterator

from buildtool.diag import BuildError

#: A piece of a pattern between two stars: characters, or None for a `?`.
_Piece = tuple[str | None, ...]


class Pattern:
    """A shell pattern of `*` and `?`, as the pieces between its stars."""

    def __init__(self, text: str) -> None:
        pieces: list[list[str | None]] = [[]]
        i = 0
        while i < len(text):
            c = text[i]
            if c == "*":
                pieces.append([])
            elif c == "?":
                pieces[-1].append(None)
            elif c == "\\":
                i += 1
                if text[i : i + 1] not in ("*", "?", "\\", "}", "/") or i == len(text):
                    raise BuildError(
                        "bad-substitution", f'invalid escape "\\{text[i : i + 1]}" in the pattern "{text}"'
                    )
                pieces[-1].append(text[i])
            else:
                pieces[-1].append(c)
            i += 1
        self.pieces: tuple[_Piece, ...] = tuple(tuple(p) for p in pieces)

    def reversed(self) -> "Pattern":
        other = Pattern("")
        other.pieces = tuple(p[::-1] for p in self.pieces[::-1])
        return other

    def prefix(self, text: str, *, longest: bool) -> int | None:
        """Where the shortest or longest match that begins with the text ends."""
        first = _regex(self.pieces[0]).match(text)
        return None if first is None else self._rest(text, first.end(), longest)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """The leftmost longest matches, none overlapping another."""
        at = 0
        while at <= len(text):
            first = _regex(self.pieces[0]).search(text, at)
            end = None if first is None else self._rest(text, first.end(), longest=True)
            if first is None or end is None:
                return
            yield first.start(), end
            at = end if end > first.start() else end + 1

    def _rest(self, text: str, at: int, longest: bool) -> int | None:
        """Where the match ends whose first piece ended at `at`.

        Taking each middle piece as early as it comes leaves the most room for the
        last one, whose earliest or latest place is then the shortest or longest match.
        """
        if len(self.pieces) == 1:
            return at
        for piece in self.pieces[1:-1]:
            found = _regex(piece).search(text, at)
            if found is None:
                return None
            at = found.end()
        last = self.pieces[-1]
        if longest:
            return _last(last, text, at)
        found = _regex(last).search(text, at)
        return None if found is None else found.end()


def _regex(piece: _Piece) -> re.Pattern[str]:
    return re.compile("".join("." if c is None else re.escape(c) for c in piece), re.S)


def _last(piece: _Piece, text: str, at: int) -> int | None:
    """Where the last place of the piece ends, at `at` or later."""
    found = _regex(piece[::-1]).search(text[at:][::-1])
    return None if found is None else len(text) - found.start()
