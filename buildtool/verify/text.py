"""Texts: their lines paired, and each pair that differs explained."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from buildtool.verify.clues import Clues
from buildtool.verify.explain import common_start, differing_part, explain
from buildtool.verify.marks import LIKELY, POSSIBLE, quoted
from buildtool.verify.model import Finding, merged
from buildtool.verify.order import order_of_lines, order_of_words, same_items

#: Bytes of a text that are looked at.
_LARGEST = 1 << 22
#: Pairs of lines that are explained; what more there are is taken to be like them.
_MOST_PAIRS = 2_000
#: Characters of the lines that are explained.
_MOST_EXPLAINED = 1 << 20
#: Lines that are aligned by what they say rather than by where they stand.
_MOST_ALIGNED = 1_500
#: Lines and columns of an excerpt.
_SHOWN = 8
_WIDTH = 160


@dataclass(frozen=True, slots=True)
class TextDifference:
    """What explains that two texts differ, and an excerpt of both as a unified diff."""

    findings: tuple[Finding, ...]
    lines: tuple[str, ...] = ()


def is_text(data: bytes) -> bool:
    """Whether bytes are a text of UTF-8, or of a legacy encoding without control characters."""
    start = data[: 1 << 16]
    if b"\x00" in start:
        return False
    odd = sum(b < 9 or 13 < b < 27 or 27 < b < 32 or b == 127 for b in start[:4096])
    try:
        start.decode("utf-8")
        return odd == 0
    except UnicodeDecodeError as exc:
        if exc.start >= len(start) - 3 and len(data) > len(start):
            return odd == 0
        return odd == 0 and sum(b > 127 for b in start[:4096]) < 0.1 * min(len(start), 4096)


def text_difference(first: bytes, second: bytes, clues: Clues) -> TextDifference:
    """What explains that two texts differ; of large ones, in the part where they begin to."""
    if max(len(first), len(second)) > _LARGEST:
        first, second = _part(first, second)
    a, b = (data.decode("utf-8", "surrogateescape") for data in (first, second))
    left, right = a.splitlines(), b.splitlines()
    if left == right:
        return TextDifference((Finding("unexplained", "only line ends differ", POSSIBLE),))
    if same_items(left, right):
        return TextDifference((order_of_lines(left, right, clues),), _excerpt(left, right))
    if ordered := _same_json(a, b):
        return TextDifference((ordered,), _excerpt(left, right))
    begin = _common_lines(left, right)
    end = _common_lines(left[begin:][::-1], right[begin:][::-1])
    left, right = left[begin : len(left) - end], right[begin : len(right) - end]
    if same_items(left, right):
        return TextDifference((order_of_lines(left, right, clues),), _excerpt(left, right))
    return TextDifference(_explained(left, right, clues), _excerpt(left, right))


def _part(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """The lines of two texts from the first that differs, as many as are looked at."""
    at = first.rfind(b"\n", 0, common_start(first, second)) + 1
    return first[at : at + _LARGEST], second[at : at + _LARGEST]


def strings_difference(first: Sequence[str], second: Sequence[str], clues: Clues) -> tuple[Finding, ...]:
    """What explains that the printable strings of two binary files differ."""
    if same_items(first, second):
        return (
            Finding("hash-seed", f"the same strings, in another order: {_first_pair(first, second)}", LIKELY),
        )
    return _explained(list(first), list(second), clues)


def _explained(left: list[str], right: list[str], clues: Clues) -> tuple[Finding, ...]:
    pairs, alone = _paired(left, right)
    findings: list[Finding] = []
    room = _MOST_EXPLAINED
    for one, two in pairs[:_MOST_PAIRS]:
        room -= min(len(one), len(two))
        if room < 0:
            break
        found = order_of_words(one, two)
        if found is not None:
            findings.append(found)
            continue
        seen = explain(one, two, clues)
        findings += seen.findings
        if not seen.whole:
            a, b = differing_part(one, two, 20)
            findings.append(Finding("unexplained", quoted(a, b), POSSIBLE))
    findings += [
        _only(side, lines, clues) for side, lines in zip(("first", "second"), alone, strict=True) if lines
    ]
    return merged(findings)


def _only(side: str, lines: list[str], clues: Clues) -> Finding:
    what = f"{len(lines)} lines" if len(lines) > 1 else "a line"
    return Finding(
        "unexplained", f"{what} only in the {side}: {quoted(lines[0].strip(), '…')[:90]}", POSSIBLE
    )


def _paired(left: list[str], right: list[str]) -> tuple[list[tuple[str, str]], tuple[list[str], list[str]]]:
    """The lines that stand for each other and differ, and those of each side that stand alone."""
    if len(left) == len(right):
        return [(a, b) for a, b in zip(left, right, strict=True) if a != b], ([], [])
    if max(len(left), len(right)) > _MOST_ALIGNED:
        unlike = [(a, b) for a, b in zip(left, right, strict=False) if a != b]
        return unlike, (left[len(right) :], right[len(left) :])
    one, two = ([_shape(line) for line in side] for side in (left, right))
    pairs: list[tuple[str, str]] = []
    alone: tuple[list[str], list[str]] = ([], [])
    for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag in ("equal", "replace"):
            for a, b in zip_longest(left[a1:a2], right[b1:b2]):
                if a is None:
                    alone[1].append(b)
                elif b is None:
                    alone[0].append(a)
                elif a != b:
                    pairs.append((a, b))
        else:
            alone[0].extend(left[a1:a2])
            alone[1].extend(right[b1:b2])
    return pairs, alone


def _shape(line: str) -> str:
    """What is the same in lines that differ in numbers alone."""
    return re.sub(r"[0-9a-f]+|\s+", "", line.lower())


def _same_json(a: str, b: str) -> Finding | None:
    """That two texts are the same JSON but for the order of members, or of items."""
    if a[:1] not in "[{" or len(a) > 1 << 22:
        return None
    try:
        one, two = json.loads(a), json.loads(b)
    except (ValueError, RecursionError):
        return None
    if one == two:
        return Finding("hash-seed", "the same JSON, its members in another order", LIKELY)
    return None


def _excerpt(left: Sequence[str], right: Sequence[str]) -> tuple[str, ...]:
    """The first pairs that differ, each line with a sign before it."""
    rows: list[str] = []
    for a, b in zip_longest(left, right):
        if a == b:
            continue
        one, two = differing_part(a or "", b or "", _WIDTH // 4)
        rows += [f"-{one[:_WIDTH]}"] if a is not None else []
        rows += [f"+{two[:_WIDTH]}"] if b is not None else []
        if len(rows) >= _SHOWN:
            break
    return tuple(row.encode("utf-8", "backslashreplace").decode() for row in rows[:_SHOWN])


def _common_lines(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _first_pair(first: Sequence[str], second: Sequence[str]) -> str:
    return next(quoted(a, b) for a, b in zip(first, second, strict=True) if a != b)
