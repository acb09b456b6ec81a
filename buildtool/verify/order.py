"""Order: the same items in two orders, and what put them there."""

import re
from collections import Counter
from collections.abc import Sequence

from buildtool.verify.clues import Clues
from buildtool.verify.marks import LIKELY, POSSIBLE, quoted
from buildtool.verify.model import Finding

_LABEL = re.compile(r"\W{0,3}([A-Za-z][\w./+-]*)\W{0,2}[\]:> \d]")
_LOG = re.compile(r"(?i)\.log$|(?:^|[-_.])log$|build.*out(?:put)?$")
_PATH = re.compile(
    r"(?:^|[\s\"'=(*])(?:\.{0,2}/)?[\w@%+.-]*(?:/[\w@%+.-]+|\.[A-Za-z][A-Za-z0-9]{0,4})(?=$|[\s\"',):;])"
)
_WORD = re.compile(r"[\w./@%+-]+")
#: Items that are looked at to judge what they are.
_LOOKED_AT = 500


def same_items(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two sequences have the same items, in different orders."""
    return len(first) == len(second) and len(first) > 1 and Counter(first) == Counter(second)


def order_of_lines(first: Sequence[str], second: Sequence[str], clues: Clues) -> Finding:
    """What explains that the same lines come in another order."""
    swapped = _swapped(first, second)
    if _collated(first, second):
        return Finding("locale", f"the same lines, sorted by two rules: {swapped}", LIKELY)
    if _interleaved(first, second):
        return Finding("parallelism", f"the same lines, each source's in its own order: {swapped}", LIKELY)
    if _share(first, _PATH) > 0.8:
        return Finding("directory-order", f"the same names of files, in another order: {swapped}", LIKELY)
    if _LOG.search(clues.path):
        return Finding("parallelism", f"the same lines of a log, in another order: {swapped}", LIKELY)
    if _share(first, re.compile(r"^\s*[\"']?[\w.-]+[\"']?\s*[:=]")) > 0.8:
        return Finding("hash-seed", f"the same keys, in another order: {swapped}", LIKELY)
    return Finding("hash-seed", f"the same lines, in another order: {swapped}", POSSIBLE)


def order_of_words(first: str, second: str) -> Finding | None:
    """What explains that one line has the same words in another order; None if it has not."""
    one, two = _WORD.findall(first), _WORD.findall(second)
    if not same_items(one, two) or len(one) < 3:
        return None
    # Nothing but the order may differ: the same characters between the words.
    if Counter(_WORD.sub("", first)) != Counter(_WORD.sub("", second)):
        return None
    swapped = _swapped(one, two)
    moved = [a for a, b in zip(one, two, strict=True) if a != b]
    if sum(bool(re.search(r"/|\.[A-Za-z]\w{0,4}$", w)) for w in moved) > 0.8 * len(moved):
        return Finding("directory-order", f"the same names of files, in another order: {swapped}", LIKELY)
    if re.search(r"[\[{(].*,.*[\]})]", first, re.DOTALL):
        return Finding("hash-seed", f"the same items of a set or a map, in another order: {swapped}", LIKELY)
    return Finding("hash-seed", f"the same words, in another order: {swapped}", POSSIBLE)


def order_of_members(first: Sequence[str], second: Sequence[str], what: str) -> Finding:
    """What explains that an archive has its members in another order."""
    evidence = f"the same {what}, in another order: {_swapped(first, second)}"
    return Finding("directory-order", evidence, LIKELY)


def _swapped(first: Sequence[str], second: Sequence[str]) -> str:
    a, b = next((a, b) for a, b in zip(first, second, strict=True) if a != b)
    return quoted(a.strip(), b.strip())


def _collated(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether one side is in the order of bytes and the other in that of a language."""
    one, two = (list(side) for side in (first, second))
    for plain, other in ((one, two), (two, one)):
        if plain == sorted(plain) and other in (sorted(other, key=_folded), sorted(other, key=str.casefold)):
            return True
    return False


def _folded(line: str) -> tuple[str, str]:
    return re.sub(r"[^\w]|_", "", line).casefold(), line.swapcase()


def _interleaved(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the lines are of several sources, by how they begin, and those of each keep their order."""
    sides: list[dict[str, list[str]]] = []
    for lines in (first, second):
        groups: dict[str, list[str]] = {}
        for line in lines:
            label = _LABEL.match(line)
            if label is None and line.strip():
                return False
            groups.setdefault(label[1] if label else "", []).append(line)
        sides.append(groups)
    several = [g for g in sides[0].values() if len(g) > 1]
    return len(sides[0]) > 1 and len(several) > 1 and sides[0] == sides[1]


def _share(lines: Sequence[str], pattern: re.Pattern[str]) -> float:
    looked = [line for line in lines[:_LOOKED_AT] if line.strip()]
    return sum(bool(pattern.search(line)) for line in looked) / max(1, len(looked))
