"""Explaining a pair of texts: marks are taken out of both until they are equal."""

from dataclasses import dataclass

from buildtool.verify.clues import Clues
from buildtool.verify.marks import CERTAIN, MARKS, Mark, quoted
from buildtool.verify.model import Finding


@dataclass(frozen=True, slots=True)
class Explained:
    """The findings of a pair of texts, and whether nothing of the difference is left without one."""

    findings: tuple[Finding, ...]
    whole: bool


_AROUND = 120
_WIDEST = 1 << 12
_TAKEN = "\x00"


def explain(first: str, second: str, clues: Clues) -> Explained:
    """What explains that two texts, such as lines, differ.

    The name of the file goes before them: it may say what a value is.
    """
    head = f"{clues.subject}: " if clues.subject else ""
    a, b = (head + text for text in differing_part(first, second))
    findings: list[Finding] = []
    a, b = _take_known(a, b, clues, findings)
    for mark in MARKS:
        if a == b:
            break
        a, b = _take(mark, a, b, clues, findings)
    return Explained(tuple(findings), a == b)


def differing_part(first: str, second: str, around: int = _AROUND) -> tuple[str, str]:
    """The parts of two long texts in which they differ, and some of what stands around."""
    if max(len(first), len(second)) <= 4 * around:
        return first, second
    start = common_start(first, second)
    end = common_start(first[start:][::-1], second[start:][::-1])
    begin, rest = max(0, start - around), max(0, end - around)
    return first[begin : len(first) - rest][:_WIDEST], second[begin : len(second) - rest][:_WIDEST]


def common_start(first: str | bytes, second: str | bytes) -> int:
    """How many characters (or bytes) two texts have in common at their start."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _take_known(a: str, b: str, clues: Clues, findings: list[Finding]) -> tuple[str, str]:
    """Take out what is known of the two worlds, word by word."""
    one, two = clues.first, clues.second
    others = dict(two.environment)
    pairs = [
        ("hostname", one.hostname, two.hostname),
        ("user", one.user, two.user),
        ("kernel", one.kernel, two.kernel),
        ("locale", one.locale, two.locale),
        ("time-zone", one.zone, two.zone),
        *(("build-path", x, y) for x, y in zip(one.paths, two.paths, strict=False)),
        *(("environment", value, others.get(name, "")) for name, value in one.environment),
    ]
    for cause, x, y in pairs:
        if min(len(x), len(y)) >= 3 and x != y and x in a and a.count(x) == b.count(y):
            findings.append(Finding(cause, f"{quoted(x, y)}, as the builders had it", CERTAIN))
            a, b = a.replace(x, _TAKEN), b.replace(y, _TAKEN)
    return a, b


def _take(mark: Mark, a: str, b: str, clues: Clues, findings: list[Finding]) -> tuple[str, str]:
    """Take a mark's values out of both texts where they differ and mean something."""
    left = list(mark.pattern.finditer(a))
    right = list(mark.pattern.finditer(b)) if left else []
    if not left or len(left) != len(right):
        return a, b
    spans: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for one, two in zip(left, right, strict=True):
        groups = one.lastindex or 0, two.lastindex or 0
        values = one[groups[0]], two[groups[1]]
        if values[0] == values[1] or _TAKEN in values[0] + values[1]:
            continue
        found = mark.judge(values[0], values[1], clues)
        if found is not None:
            findings.append(found)
            spans.append((one.span(groups[0]), two.span(groups[1])))
    return _without(a, [s[0] for s in spans]), _without(b, [s[1] for s in spans])


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for begin, end in spans:
        parts.append(text[at:begin])
        at = end
    return _TAKEN.join([*parts, text[at:]])
