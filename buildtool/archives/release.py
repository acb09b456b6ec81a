"""A suite's `Release` file: which suite it is, how long it holds, and the hashes of its indexes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from buildtool.archives import deb822
from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.lock.instant import spell

#: How far a machine's clock may be behind the archive's.
_TOLERANCE = 24 * 3600


@dataclass(frozen=True, slots=True)
class IndexFile:
    """An index as its release describes it."""

    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """A release whose signature was checked.  `files` are relative to the suite's folder.

    `automatic` is false for suites such as backports, from which packages come
    only when nothing else serves.  Dates are seconds since the epoch.
    """

    names: tuple[str, ...]
    date: int
    valid_until: int | None
    by_hash: bool
    automatic: bool
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    files: Mapping[str, IndexFile]


def parse_release(text: bytes, title: str) -> Release:
    """The release that a signed text describes; BuildError `bad-release`.  Only SHA-256 counts."""
    parts = deb822.stanzas(text.replace(b"\r\n", b"\n"))
    if len(parts) != 1:
        raise _bad(title, "it is not one stanza")
    values = deb822.fields(parts[0])
    if "date" not in values:
        raise _bad(title, "it has no Date")
    if "sha256" not in values:
        raise _bad(title, "it has no SHA-256 hashes")
    until = values.get("valid-until")
    return Release(
        names=tuple(dict.fromkeys(values[k] for k in ("codename", "suite") if k in values)),
        date=_instant(values["date"], title),
        valid_until=None if until is None else _instant(until, title),
        by_hash=values.get("acquire-by-hash", "").lower() == "yes",
        automatic=values.get("notautomatic", "").lower() != "yes",
        architectures=tuple(values.get("architectures", "").split()),
        components=tuple(c.removeprefix("updates/") for c in values.get("components", "").split()),
        files=_files(values["sha256"], title),
    )


def check_release(release: Release, suite: str, title: str, now: int, *, check_valid_until: bool) -> None:
    """Refuse a release of another suite, an expired one (a mirror held back), and one from the future."""
    if suite not in release.names and suite.removesuffix("/updates") not in release.names:
        raise BuildError(
            "wrong-suite",
            f"{title} describes {' or '.join(release.names) or 'no suite'}, not {suite}",
            hint="check the suite's name and the mirror's address",
            exit_status=1,
        )
    if check_valid_until and release.valid_until is not None and release.valid_until < now:
        raise BuildError(
            "release-expired",
            f"{title} was valid until {spell(release.valid_until)}",
            hint="use a mirror that is up to date; for a frozen one set check-valid-until = false "
            "under [mirrors] in buildtool.toml",
            exit_status=1,
        )
    if release.date > now + _TOLERANCE:
        raise BuildError(
            "release-not-yet-valid",
            f"{title} is of {spell(release.date)}, which is yet to come",
            hint="check this machine's clock",
            exit_status=1,
        )


def _files(listing: str, title: str) -> dict[str, IndexFile]:
    found: dict[str, IndexFile] = {}
    for row in listing.split("\n"):
        if not row:
            continue
        words = row.split()
        if len(words) != 3 or not (words[1].isascii() and words[1].isdigit() and len(words[1]) < 13):
            raise _bad(title, f"{row[:100]!r} is not a hash, a size and a path")
        try:
            digest = parse_digest(f"sha256:{words[0]}")
        except BuildError as e:
            raise _bad(title, e.message) from e
        found[words[2]] = IndexFile(digest, int(words[1]))
    return found


def _instant(text: str, title: str) -> int:
    try:
        when: datetime = parsedate_to_datetime(text)
    except ValueError as e:
        raise _bad(title, f"{text[:60]!r} is not a date") from e
    if when.tzinfo is None:
        raise _bad(title, f"{text[:60]!r} has no time zone")
    return int(when.timestamp())


def _bad(title: str, why: str) -> BuildError:
    return BuildError("bad-release", f"{title} cannot be used: {why}", exit_status=1)
