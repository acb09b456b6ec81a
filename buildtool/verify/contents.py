"""Contents: two versions of a file, taken apart by their format as deep as it goes."""

import re
from dataclasses import dataclass

from buildtool.verify import containers, elf, packed, records
from buildtool.verify.binary import binary_difference
from buildtool.verify.clues import Clues
from buildtool.verify.form import Content, NotOfThisFormError
from buildtool.verify.marks import CERTAIN, LIKELY
from buildtool.verify.model import Difference, Finding
from buildtool.verify.text import is_text, text_difference

_DEEPEST = 8
#: Bytes that are taken apart for one file, all levels together.
_MOST_BYTES = 1 << 28

_FORMS = (*packed.FORMS, *containers.FORMS, *elf.FORMS, *records.FORMS)


@dataclass(frozen=True, slots=True)
class _Known:
    """Files whose name or beginning says why they differ, where their bytes do not."""

    path: re.Pattern[str]
    cause: str
    evidence: str


_KNOWN = (
    _Known(re.compile(r"(?:^|/)(?:etc|dbus|lib)/machine-id$"), "random-identifier", "the machine id"),
    _Known(re.compile(r"(?:^|/)random[-_]seed$"), "random-identifier", "a seed"),
    _Known(re.compile(r"(?:^|/)ssh_host_\w+_key(?:\.pub)?$"), "random-identifier", "a key of an SSH server"),
    _Known(re.compile(r"(?:^|/)hostname$"), "hostname", "the name of the machine"),
    _Known(re.compile(r"\.pid$"), "process-id", "a process number"),
    _Known(re.compile(r"(?:^|/)(?:etc/)?timezone$|(?:^|/)etc/localtime$"), "time-zone", "the time zone"),
    _Known(re.compile(r"(?:^|/)etc/ld\.so\.cache$"), "derived", "it lists the libraries that are there"),
)
_KEYS = (b"PRIVATE KEY-----", b"-----BEGIN CERTIFICATE-----", b"-----BEGIN OPENSSH")
_SHADOW = re.compile(rb"(?m)^([^:\n]*:[^:\n]*:)\d{5}:")


class _Budget:
    def __init__(self) -> None:
        self.left = _MOST_BYTES

    def take(self, size: int) -> bool:
        self.left -= size
        return self.left >= 0


def content_difference(first: bytes, second: bytes, clues: Clues) -> Content:
    """How two contents of `clues.path` differ, and why; as deep as the bounds allow."""
    return _compare(first, second, clues, 0, _Budget())


def _compare(first: bytes, second: bytes, clues: Clues, depth: int, budget: _Budget) -> Content:
    found = _by_form(first, second, clues, depth, budget) or _plain(first, second, clues)
    if any(f.cause != "unexplained" for f in found.findings) or found.inside:
        return found
    name = f"/{clues.path}"
    known = next((k for k in _KNOWN if k.path.search(name)), None)
    if known is not None:
        return Content(found.form, (Finding(known.cause, known.evidence, LIKELY),), lines=found.lines)
    return found


def _by_form(first: bytes, second: bytes, clues: Clues, depth: int, budget: _Budget) -> Content | None:
    """The comparison of the format that both are of; None where they are of none, or beyond the bounds."""
    form = next((f for f in _FORMS if f.matches(first) and f.matches(second)), None)
    if form is None or depth == _DEEPEST or not budget.take(len(first) + len(second)):
        return None

    def descend(kind: str, where: str, one: bytes, two: bytes) -> Difference:
        inner = clues.at(where if kind == "member" else clues.path)
        found = _compare(one, two, inner, depth + 1, budget)
        sizes = f"{len(one)} bytes", f"{len(two)} bytes"
        return Difference(kind, where, "content", *sizes, found.findings, found.inside, lines=found.lines)

    try:
        found = form.compare(first, second, clues, descend)
    except NotOfThisFormError:
        return None
    return found if found.findings or found.inside else None


def _plain(first: bytes, second: bytes, clues: Clues) -> Content:
    if all(any(mark in side for mark in _KEYS) for side in (first[:4096], second[:4096])):
        return Content("key", (Finding("random-identifier", "a key, or a certificate of one", CERTAIN),))
    if not (is_text(first) and is_text(second)):
        return Content("binary", binary_difference(first, second, clues))
    if re.search(r"(?:^|/)g?shadow-?$", clues.path) and _without_days(first) == _without_days(second):
        evidence = "the day of the last change of a password"
        return Content("text", (Finding("embedded-time", evidence, CERTAIN),))
    seen = text_difference(first, second, clues)
    return Content("text", seen.findings, lines=seen.lines)


def _without_days(shadow: bytes) -> bytes:
    return _SHADOW.sub(rb"\1", shadow)
