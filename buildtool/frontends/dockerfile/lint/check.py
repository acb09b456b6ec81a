"""A whole check of a Dockerfile: parsed, lowered as far as it goes, and what all rules find.

A base image that cannot be looked at does not end a check: an empty one stands in
for it, and rules that depend on what it sets keep quiet.
"""

from dataclasses import dataclass, field, replace

from buildtool.diag import BuildError, BuildErrors, Span, Warned
from buildtool.digest import Digest, sha256
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.facts import Record, facts_of
from buildtool.frontends.dockerfile.lint.options import Options, options_of
from buildtool.frontends.dockerfile.lint.registry import RULES
from buildtool.frontends.dockerfile.lint.rule import Finding
from buildtool.frontends.dockerfile.lint.run import find, violation, warned
from buildtool.frontends.dockerfile.lower import survey
from buildtool.frontends.dockerfile.parse import ParseCache, parse
from buildtool.frontends.dockerfile.request import NETWORK_HOST, Bases, Request
from buildtool.graph.model import Image, ImageConfig, ImageSource, Platform
from buildtool.lock.model import FilePin, Lock

#: What the bases say of an image that may well exist, though it cannot be had here and now.
OUT_OF_REACH = ("no-registry", "unreachable", "offline")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; `file` is None where the Dockerfile cannot be parsed."""

    filename: str
    file: tree.File | None
    findings: tuple[Finding, ...] = ()
    errors: tuple[BuildError, ...] = ()
    language: str = field(default="Dockerfile", init=False)

    def warned(self) -> list[Warned]:
        """The findings as a person sees them."""
        return warned(self.file, self.filename, self.findings) if self.file else []


def check(
    text: bytes,
    request: Request,
    bases: Bases | None = None,
    cache: ParseCache | None = None,
    lock: Lock | None = None,
) -> Checked:
    """Check a Dockerfile; the stages that the request's target needs, or all where it names none.

    Without `bases`, every base image is out of reach.  What the lock pins needs no other
    pin.  Raises nothing that is wrong with the file: that is part of the result.
    """
    try:
        file = parse(text, request.filename, cache)
        options = options_of(file, request)
    except BuildError as error:
        return Checked(request.filename, None, errors=_each(error))
    record, standing = Record(), _StandIns(bases)
    errors: tuple[BuildError, ...] = ()
    try:
        # Nothing runs: what a step may do is for whoever builds to say.
        allowing = replace(request, allow=request.allow | {NETWORK_HOST})
        survey(file, allowing, standing, record, cache)
    except BuildError as error:
        errors = _each(error)
    pinned = (*lock.files, *lock.git) if lock else ()
    facts = facts_of(file, request, record, frozenset(standing.unknown), frozenset(pinned))
    found = tuple(find(facts, options, RULES))
    return Checked(request.filename, file, found, errors or _binding(file, request, found, options))


def _binding(
    file: tree.File, request: Request, found: tuple[Finding, ...], options: Options
) -> tuple[BuildError, ...]:
    error = violation(file, request.filename, found, options)
    if error is None:
        return ()
    # The findings are told anyway.
    error.notes = ()
    return (error,)


def _each(error: BuildError) -> tuple[BuildError, ...]:
    return error.errors if isinstance(error, BuildErrors) else (error,)


class _StandIns:
    """Bases with an empty image in the place of each that is out of reach."""

    def __init__(self, bases: Bases | None) -> None:
        self._bases = bases
        self.unknown: set[str] = set()

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        try:
            if self._bases is not None:
                return self._bases.resolve(name, platform, span)
        except BuildError as error:
            if error.code not in OUT_OF_REACH:
                raise
        self.unknown.add(name)
        return Image(ImageSource(sha256(name.encode()), ()), ImageConfig(), platform, 0)

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        """A check downloads nothing."""
        return FilePin(checksum or sha256(url.encode()), 0)

    def commit(self, url: str, ref: str, checksum: str) -> str:
        return checksum.ljust(40, "0")
