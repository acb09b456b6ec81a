"""The order of Debian's version numbers (Debian policy 5.6.12), as a key that Python can sort by."""

import re
from typing import TypeAlias

VersionKey: TypeAlias = tuple[int, tuple[object, ...], tuple[object, ...]]

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
#: A tilde sorts before everything, even the end of a part; letters sort before all other characters.
_END = 0
_BEFORE_END = -1
_AFTER_LETTERS = 256


def version_key(version: str) -> VersionKey:
    """A key such that keys compare as dpkg compares the versions: `~` before the end, digits as numbers."""
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), _part_key(upstream), _part_key(revision)


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether `version` stands in the relation of a dependency (`<<`, `<=`, `=`, `>=`, `>>`) to `wanted`."""
    have, want = version_key(version), version_key(wanted)
    return {
        "<<": have < want,
        "<=": have <= want,
        "=": have == want,
        ">=": have >= want,
        ">>": have > want,
    }[operator]


def _part_key(part: str) -> tuple[object, ...]:
    key: list[object] = []
    for letters, digits in _PARTS.findall(part or "0"):
        if letters or digits:
            key.append((*(_weight(c) for c in letters), _END))
            key.append(int(digits or "0"))
    key.append((_END,))
    return tuple(key)


def _weight(c: str) -> int:
    if c == "~":
        return _BEFORE_END
    return ord(c) if c.isalpha() else ord(c) + _AFTER_LETTERS
