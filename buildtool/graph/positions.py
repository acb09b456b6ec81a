"""Positions: where the names of a growing tuple of pairs stand, so that a change needs no walk over it.

A Dockerfile can have thousands of ENV instructions, each of which makes a new
tuple out of the last one.  The positions of the last tuple are remembered; for
any other they are worked out anew.
"""

from collections.abc import Sequence

Pairs = tuple[tuple[str, str], ...]


class Positions:
    """Knows the names in the tuple of pairs that it saw last, each name once in a tuple."""

    __slots__ = ("_at", "_seen")

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._seen: Pairs = ()

    def apart(self, pairs: Pairs, names: Sequence[str]) -> bool:
        """Whether none of the pairs has one of the names."""
        self._look_at(pairs)
        return self._at.keys().isdisjoint(names)

    def merged(self, pairs: Pairs, changes: Pairs) -> Pairs:
        """The pairs with the changes made: a name that is there keeps its place, a new one comes last."""
        self._look_at(pairs)
        if len(changes) == 1 and changes[0][0] not in self._at:
            self._at[changes[0][0]] = len(pairs)
            self._seen = pairs + changes
            return self._seen
        work = list(pairs)
        for pair in changes:
            at = self._at.setdefault(pair[0], len(work))
            work[at : at + 1] = [pair]
        self._seen = tuple(work)
        return self._seen

    def _look_at(self, pairs: Pairs) -> None:
        if pairs is not self._seen:
            self._at = {name: at for at, (name, _) in enumerate(pairs)}
            self._seen = pairs
