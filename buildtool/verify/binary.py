"""Bytes without a known form: the places where two of them differ, and what stands there."""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from buildtool.verify.clues import Clues
from buildtool.verify.explain import common_start, explain
from buildtool.verify.marks import CERTAIN, LIKELY, POSSIBLE, time_finding
from buildtool.verify.model import Finding, merged
from buildtool.verify.text import strings_difference
from buildtool.verify.times import EARLIEST, LATEST, YEAR, shown

#: Places that are explained; what more there are is taken to be like them.
_MOST_PLACES = 512
#: Bytes that are equal between two places that are taken for one.
_GAP = 4
#: 2015 to 2040.
RECENT, SOON = 1_420_070_400, 2_208_988_800
_MONTH = 31 * 86_400
_BLOCK = 1 << 12
_STRING = re.compile(rb"[\x20-\x7e]{5,}")
_MOST_STRINGS = 50_000
_PRINTABLE = re.compile(rb"[\x20-\x7e]+")

#: Name, format and size of the numbers that may hold a time.
_NUMBERS = (
    ("64-bit", "<q", 8),
    ("32-bit", "<I", 4),
    ("32-bit big-endian", ">I", 4),
    ("64-bit big-endian", ">q", 8),
)


def binary_difference(first: bytes, second: bytes, clues: Clues) -> tuple[Finding, ...]:
    """What explains that two byte strings differ."""
    if len(first) == len(second):
        findings = [_place(first, second, *place, clues) for place in places(first, second)]
        if all(f is not None and f.cause != "unexplained" for f in findings):
            return merged(f for f in findings if f is not None)
        if Counter(first) == Counter(second) and len(first) > 16 and _moved(first, second):
            return (Finding("hash-seed", "the same bytes, in another order", POSSIBLE),)
        return merged(f for f in findings if f is not None)
    left, right = strings(first), strings(second)
    if left != right:
        return strings_difference(left, right, clues)
    at = common_start(first, second)
    return (Finding("unexplained", f"{len(first)} and {len(second)} bytes, from byte {at}", POSSIBLE),)


def _moved(first: bytes, second: bytes) -> bool:
    """Whether strings changed places, rather than single bytes."""
    left, right = strings(first), strings(second)
    return left != right and Counter(left) == Counter(right)


def strings(data: bytes) -> list[str]:
    """The printable strings of bytes, in order."""
    found = []
    for match in _STRING.finditer(data):
        found.append(match[0].decode("ascii"))
        if len(found) == _MOST_STRINGS:
            break
    return found


def places(first: bytes, second: bytes) -> Iterator[tuple[int, int]]:
    """Where two byte strings of one length differ: begin and end of each place, the first ones of many."""
    count, begin, end = 0, -1, -1
    one, two = memoryview(first), memoryview(second)
    for block in range(0, len(first), _BLOCK):
        if one[block : block + _BLOCK] == two[block : block + _BLOCK]:
            continue
        for at, (a, b) in enumerate(
            zip(one[block : block + _BLOCK], two[block : block + _BLOCK], strict=True), block
        ):
            if a == b:
                continue
            if begin >= 0 and at - end > _GAP:
                yield begin, end
                count += 1
                if count == _MOST_PLACES:
                    return
                begin = -1
            begin, end = (at if begin < 0 else begin), at + 1
    if begin >= 0:
        yield begin, end


def _place(first: bytes, second: bytes, begin: int, end: int, clues: Clues) -> Finding | None:
    """What stands where two byte strings of one length differ."""
    text = _text_around(first, second, begin, end)
    if text is not None:
        seen = explain(*text, clues)
        if seen.whole and seen.findings:
            return seen.findings[0]
    if end - begin <= 8:
        found = _time(first, second, begin, end, clues) or _pointer(first, second, begin, end)
        if found is not None:
            return found
    if end - begin >= 8 and _random(first[begin:end]) and _random(second[begin:end]):
        return Finding(
            "random-identifier", f"{end - begin} bytes at {begin} have nothing in common", POSSIBLE
        )
    a, b = first[begin:end][:16].hex(), second[begin:end][:16].hex()
    return Finding("unexplained", f"bytes at {begin}: {a} / {b}", POSSIBLE)


def _text_around(first: bytes, second: bytes, begin: int, end: int) -> tuple[str, str] | None:
    """The printable strings that hold a place on both sides."""
    found = []
    for data in (first, second):
        if not _PRINTABLE.fullmatch(data[begin:end]):
            return None
        before = re.search(rb"[\x20-\x7e]*\Z", data[max(0, begin - 120) : begin])
        after = _PRINTABLE.match(data, end, end + 120)
        assert before is not None
        found.append((before[0] + data[begin:end] + (after[0] if after else b"")).decode("ascii"))
    return (found[0], found[1]) if min(len(found[0]), len(found[1])) >= 4 else None


def _time(first: bytes, second: bytes, begin: int, end: int, clues: Clues) -> Finding | None:
    for name, form, size in _NUMBERS:
        for start in range(max(0, end - size), begin + 1):
            if start + size > len(first) or start % size:
                continue
            (one,), (two,) = struct.unpack_from(form, first, start), struct.unpack_from(form, second, start)
            if not (EARLIEST <= one < LATEST and EARLIEST <= two < LATEST):
                continue
            values = f"{shown(one)} / {shown(two)}"
            found = time_finding(f"a {name} number at {start}", one, two, values, clues, within=10 * YEAR)
            if found is not None and found.confidence is CERTAIN:
                return found
            # Any bytes are a number: without a known instant near it, it has to be of these years at least.
            if (
                found is not None
                and RECENT <= min(one, two) < max(one, two) < SOON
                and abs(one - two) < _MONTH
            ):
                return replace(found, confidence=POSSIBLE)
    return None


def _pointer(first: bytes, second: bytes, begin: int, end: int) -> Finding | None:
    start = begin - begin % 8
    if start + 8 > len(first) or end > start + 8:
        return None
    (one,), (two,) = struct.unpack_from("<Q", first, start), struct.unpack_from("<Q", second, start)
    if all(v >> 40 in (0x7F, 0x7E, 0x55, 0x56) and v >> 48 == 0 for v in (one, two)):
        return Finding("address-space", f"0x{one:x} / 0x{two:x}, an address at {start}", LIKELY)
    return None


def _random(data: bytes) -> bool:
    """Whether bytes look random: hardly one comes twice."""
    return len(set(data)) >= 0.75 * min(len(data), 64) if len(data) <= 64 else len(set(data)) > 100
