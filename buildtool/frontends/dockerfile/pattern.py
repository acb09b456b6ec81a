"""Shell patterns of `*` and `?`, as variables are trimmed and replaced with.

Neither matches a line end, as in Go.  A pattern is matched piece by piece between its
stars, which is linear in the text for each piece, whatever the pattern; a regular
expression would try again and again.
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
        """The leftmost longest matches, none overlapping another, nor empty right behind one."""
        at = done = 0
        while at <= len(text):
            first = _regex(self.pieces[0]).search(text, at)
            if first is None:
                return
            start, end = first.start(), self._rest(text, first.end(), longest=True)
            if end is None:
                # What begins later in this line has even less room.
                at = _line_end(text, start) + 1
                continue
            if end > done or start == 0:
                yield start, end
            done = end
            at = end if end > start else end + 1

    def _rest(self, text: str, at: int, longest: bool) -> int | None:
        """Where the match ends whose first piece ended at `at`.

        Taking each middle piece as early as it comes leaves the most room for the
        last one, whose earliest or latest place is then the shortest or longest match.
        """
        if len(self.pieces) == 1:
            return at
        for piece in self.pieces[1:-1]:
            found = _regex(piece).search(text, at, _line_end(text, at) + len(piece))
            if found is None:
                return None
            at = found.end()
        last = self.pieces[-1]
        limit = min(_line_end(text, at) + len(last), len(text))
        if longest:
            return _last(last, text, at, limit)
        found = _regex(last).search(text, at, limit)
        return None if found is None else found.end()


def _line_end(text: str, at: int) -> int:
    """Where the line ends that a star begins in, which it does not leave."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _regex(piece: _Piece) -> re.Pattern[str]:
    return re.compile("".join("." if c is None else re.escape(c) for c in piece))


def _last(piece: _Piece, text: str, at: int, limit: int) -> int | None:
    """Where the last place of the piece ends, between `at` and `limit`."""
    found = _regex(piece[::-1]).search(text[at:limit][::-1])
    return None if found is None else limit - found.start()
