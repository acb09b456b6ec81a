"""Entries: how the metadata of one path differs on two sides, and why."""

from buildtool.layers.entry import Entry, Kind
from buildtool.layers.tarread import Member
from buildtool.verify.clues import Clues, near
from buildtool.verify.explain import explain
from buildtool.verify.marks import CERTAIN, LIKELY, POSSIBLE, quoted, time_finding
from buildtool.verify.model import Difference, Finding
from buildtool.verify.times import shown

_BITS = 0o777
#: Records that repeat, with more precision, what an entry says itself.
_SAID = (b"path", b"linkpath", b"size", b"uid", b"gid")
_TIMES = (b"mtime", b"atime", b"ctime", b"LIBARCHIVE.creationtime")
_XATTR = b"SCHILY.xattr."


def metadata(a: Member, b: Member, clues: Clues, *, kind: str = "entry") -> list[Difference]:
    """How two entries of one path differ, field by field, apart from their contents."""
    one, two = a.entry, b.entry
    name = text(one.path) or "."
    found: list[Difference] = []

    def tell(field: str, first: object, second: object, *findings: Finding | None) -> None:
        made = tuple(f for f in findings if f is not None) or _unexplained(str(first), str(second))
        found.append(Difference(kind, name, field, str(first), str(second), made))

    if one.kind is not two.kind:
        tell("type", one.kind, two.kind)
        return found
    if one.mode != two.mode:
        tell("mode", f"{one.mode:04o}", f"{two.mode:04o}", _mode(one.mode, two.mode))
    if (one.uid, one.gid) != (two.uid, two.gid):
        owners = f"{one.uid}:{one.gid}", f"{two.uid}:{two.gid}"
        tell("owner", *owners, Finding("user", f"{quoted(*owners)}, owners", CERTAIN))
    if one.mtime != two.mtime:
        tell("mtime", shown(one.mtime), shown(two.mtime), _mtime(one, two, clues, kind))
    if one.linkname != two.linkname:
        targets = text(one.linkname), text(two.linkname)
        tell("target", *targets, *_target(targets, one.kind, clues))
    if (one.major, one.minor) != (two.major, two.minor):
        numbers = f"{one.major}:{one.minor}", f"{two.major}:{two.minor}"
        tell("device", *numbers, Finding("inode", f"{quoted(*numbers)}, device numbers", LIKELY))
    if one.xattrs != two.xattrs:
        tell("attributes", _attributes(one), _attributes(two))
    found += _records(a, b, name, clues, kind)
    return found


def _mode(one: int, two: int) -> Finding | None:
    changed = one ^ two
    if changed & ~_BITS:
        return None
    # A umask takes bits away: one side's are among the other's.
    if one & two in (one, two):
        return Finding("umask", f"{one:04o} / {two:04o}: the umask took {changed:03o}", LIKELY)
    return Finding("umask", f"{one:04o} / {two:04o}", POSSIBLE)


def _mtime(one: Entry, two: Entry, clues: Clues, kind: str) -> Finding | None:
    values = f"{shown(one.mtime)} / {shown(two.mtime)}"
    if kind == "member":
        return time_finding("the time in a tar header", one.mtime, two.mtime, values, clues)
    places = near(one.mtime, clues.first), near(two.mtime, clues.second)
    known = all(places)
    return Finding("file-time", f"{values}{f': {places[0]}' if known else ''}", CERTAIN if known else LIKELY)


def _target(targets: tuple[str, str], kind: Kind, clues: Clues) -> tuple[Finding, ...]:
    if kind is Kind.HARDLINK:
        evidence = f"{quoted(*targets)}, which name of a file came first"
        return (Finding("directory-order", evidence, LIKELY),)
    seen = explain(*targets, clues)
    return seen.findings if seen.whole else ()


def _records(a: Member, b: Member, name: str, clues: Clues, kind: str) -> list[Difference]:
    """What the headers say beyond the entry: names of owners, fractions and other times, records."""
    found = []
    for field, begin in (("user name", 265), ("group name", 297)):
        names = [m.header[begin : begin + 32].partition(b"\0")[0].decode("latin-1") for m in (a, b)]
        if names[0] != names[1]:
            cause = Finding("user", f"{quoted(*names)}, the {field}", CERTAIN)
            found.append(Difference(kind, name, field, names[0], names[1], (cause,)))
    for record in sorted(a.records.keys() | b.records.keys()):
        values = text(a.records.get(record, b"")), text(b.records.get(record, b""))
        told = record in _SAID or record.startswith(_XATTR)
        if record == b"mtime":
            told = a.entry.mtime != b.entry.mtime
        if values[0] != values[1] and not told:
            causes = _record(record, quoted(*values))
            found.append(Difference(kind, name, f"record {text(record)}", *values, causes))
    return found


def _record(record: bytes, values: str) -> tuple[Finding, ...]:
    """What a record that differs says."""
    if record in _TIMES:
        return (Finding("file-time", f"{values}, the record {text(record)}", CERTAIN),)
    if record in (b"uname", b"gname"):
        return (Finding("user", f"{values}, the record {text(record)}", CERTAIN),)
    return (Finding("unexplained", f"{values}, the record {text(record)}", POSSIBLE),)


def _unexplained(first: str, second: str) -> tuple[Finding, ...]:
    return (Finding("unexplained", quoted(first, second), POSSIBLE),)


def _attributes(entry: Entry) -> str:
    return ", ".join(f"{text(name)}={value.hex()}" for name, value in entry.xattrs) or "none"


def text(path: bytes) -> str:
    """A path as text, what is not UTF-8 as escapes."""
    return path.decode("utf-8", "backslashreplace")
