"""A trail: a sequence that only grows, whose every state stays valid and costs no copy.

A stage has a history that grows with each instruction, and each instruction makes a
new stage.  With tuples that is a copy an instruction; states of a trail share one list.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Trail(Generic[T]):
    """The first `length` items of a list that later states may have gone on writing to."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._length = len(self._items)

    def and_then(self, *items: T) -> "Trail[T]":
        """This trail with more items; only a second branch from the same state copies."""
        grown: Trail[T] = Trail.__new__(Trail)
        shared = self._length == len(self._items)
        grown._items = self._items if shared else self._items[: self._length]
        grown._items.extend(items)
        grown._length = self._length + len(items)
        return grown

    def items(self) -> tuple[T, ...]:
        """All items, in order."""
        return tuple(self._items[: self._length])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trail) and self.items() == other.items()

    def __hash__(self) -> int:
        return hash(self.items())
