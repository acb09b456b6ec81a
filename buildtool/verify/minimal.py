"""The search for what makes a difference: the smallest sets of suspects, by asking as seldom as possible."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def culprits(suspects: Sequence[T], differs: Callable[[Sequence[T]], bool]) -> list[tuple[T, ...]]:
    """The sets of suspects that each make a difference and have no part that does, found one by one.

    `differs` says whether a set does, and is asked about no set twice.  What is left
    without the sets makes no difference.  All suspects together are known to differ;
    none of them at all must not.
    """
    answers: dict[tuple[int, ...], bool] = {(): False, tuple(range(len(suspects))): True}

    def asked(numbers: Sequence[int]) -> bool:
        wanted = tuple(sorted(numbers))
        if wanted not in answers:
            answers[wanted] = differs([suspects[n] for n in wanted])
        return answers[wanted]

    found = []
    left = list(range(len(suspects)))
    while asked(left):
        guilty = _minimal(left, asked)
        found.append(tuple(suspects[n] for n in guilty))
        left = [n for n in left if n not in guilty]
    return found


def _minimal(numbers: list[int], differs: Callable[[Sequence[int]], bool]) -> list[int]:
    """A part of `numbers` that differs while nothing can be taken from it (Zeller's ddmin)."""
    pieces = 2
    while len(numbers) > 1:
        size = -(-len(numbers) // pieces)
        parts = [numbers[n : n + size] for n in range(0, len(numbers), size)]
        smaller = next((part for part in parts if differs(part)), None)
        if smaller is not None:
            numbers, pieces = smaller, 2
            continue
        rests = [[n for n in numbers if n not in part] for part in parts] if len(parts) > 2 else []
        rest = next((rest for rest in rests if differs(rest)), None)
        if rest is not None:
            numbers, pieces = rest, max(pieces - 1, 2)
        elif size > 1:
            pieces = min(pieces * 2, len(numbers))
        else:
            break
    return numbers
