"""Ranges: the part of a body that a request asks for (RFC 9110, section 14)."""

import re
from email.utils import parsedate_to_datetime

_ONE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.ASCII)


class Unsatisfiable(Exception):
    """The range begins behind the end of the body."""


def part(range_header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None where the whole body is the answer.

    Several ranges, other units and what is no range are answered whole, as RFC 9110 allows.
    """
    match = _ONE.fullmatch(range_header)
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = min(int(match[2]), size)
        if length == 0:
            raise Unsatisfiable
        return size - length, size
    first = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if last < first and match[2]:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, min(last, size - 1) + 1


def still_holds(if_range: str, last_modified: str) -> bool:
    """Whether a range may be served: the client's part is of this body, or it did not ask."""
    if not if_range:
        return True
    try:
        return parsedate_to_datetime(if_range) == parsedate_to_datetime(last_modified)
    except (ValueError, TypeError):
        return False
