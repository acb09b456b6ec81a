"""What a comparison finds: a tree of differences, each with what was seen and what caused it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Confidence(StrEnum):
    """How sure the evidence makes a cause."""

    #: Nothing else explains what was seen.
    CERTAIN = "certain"
    #: What was seen has the form of it.
    LIKELY = "likely"
    #: It would explain what was seen; so might something else.
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause by its name in `causes.CAUSES`, and one line on what was seen; `count` places look like it."""

    cause: str
    evidence: str
    confidence: Confidence = Confidence.LIKELY
    count: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """The step that made a layer: its history text, and where it is written (`Dockerfile:5`), if known."""

    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two images differ.

    `kind` is `manifest`, `config`, `history`, `layer`, `entry` (of a layer), `member` (of an
    archive), `part` (of a file).  `where` names it within what holds it; `field` says what of it
    differs, `first` and `second` show both.  `lines` is an excerpt in the form of a unified diff.
    """

    kind: str
    where: str
    field: str = ""
    first: str = ""
    second: str = ""
    findings: tuple[Finding, ...] = ()
    inside: tuple["Difference", ...] = ()
    step: Step | None = None
    lines: tuple[str, ...] = ()

    def walk(self) -> Iterator["Difference"]:
        """This difference and all within it, outer ones first."""
        yield self
        for inner in self.inside:
            yield from inner.walk()

    def causes(self) -> tuple[Finding, ...]:
        """What caused it and what is within it: a finding a cause, the surest first."""
        return merged(f for part in self.walk() for f in part.findings)


@dataclass(frozen=True, slots=True)
class World:
    """What is known of where a side was built; what is empty is not known.

    `instants` are named times in seconds (`created`); `window` is when the build ran.
    """

    instants: tuple[tuple[str, int], ...] = ()
    window: tuple[int, int] | None = None
    hostname: str = ""
    paths: tuple[str, ...] = ()
    user: str = ""
    cpus: int = 0
    locale: str = ""
    zone: str = ""
    kernel: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two images, by name and digest (empty for what has none), and where they differ.

    `skipped` tells what was not looked at.
    """

    first: str
    second: str
    digests: tuple[str, str]
    differences: tuple[Difference, ...]
    skipped: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def causes(self) -> dict[str, int]:
        """The names of the causes and how many places each explains, the most frequent first."""
        counts = Counter(f.cause for place in self.places() for f in place.causes())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def places(self) -> Iterator[Difference]:
        """The differences that stand for themselves: members of documents, entries, and layers otherwise."""
        for top in self.differences:
            if top.kind == "layer" and top.inside:
                yield from top.inside
            else:
                yield top


_ORDER = list(Confidence)


def merged(findings: Iterator[Finding] | tuple[Finding, ...] | list[Finding]) -> tuple[Finding, ...]:
    """One finding a cause, with the evidence of the surest; the surest causes first."""
    best: dict[str, Finding] = {}
    for found in findings:
        old = best.get(found.cause)
        if old is None:
            best[found.cause] = found
            continue
        surer = min(old, found, key=lambda f: _ORDER.index(f.confidence))
        best[found.cause] = Finding(found.cause, surer.evidence, surer.confidence, old.count + found.count)
    return tuple(
        sorted(
            best.values(),
            key=lambda f: (f.cause == "unexplained", _ORDER.index(f.confidence), -f.count, f.cause),
        )
    )
