"""Archives within images: zip (wheels, jars), ar (Debian packages, libraries), tar; member by member."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from buildtool.diag import BuildError
from buildtool.layers.tarread import Member, read_members
from buildtool.verify.clues import Clues
from buildtool.verify.entries import metadata
from buildtool.verify.form import Content, Descend, Form, NotOfThisFormError, beginning, missing
from buildtool.verify.marks import CERTAIN, LIKELY, POSSIBLE, quoted, time_finding
from buildtool.verify.model import Difference, Finding
from buildtool.verify.order import order_of_members
from buildtool.verify.packed import MOST_UNPACKED
from buildtool.verify.times import shown

_MOST_MEMBERS = 100_000


def _ordered(first: list[str], second: list[str]) -> list[Difference]:
    """That the members that both have come in different orders."""
    both = set(first) & set(second)
    left, right = ([n for n in side if n in both] for side in (first, second))
    if left == right or len(left) != len(right):
        return []
    found = order_of_members(left, right, "members")
    return [Difference("member", "", "order", left[0], right[0], (found,))]


def _value(where: str, field: str, one: object, two: object, *findings: Finding | None) -> Difference:
    made = tuple(f for f in findings if f is not None)
    made = made or (Finding("unexplained", quoted(str(one), str(two)), POSSIBLE),)
    return Difference("member", where, field, str(one), str(two), made)


def _time(where: str, one: float, two: float, encoding: str, clues: Clues) -> Difference:
    values = f"{shown(one)} / {shown(two)}"
    found = time_finding(encoding, one, two, values, clues)
    return _value(where, "mtime", shown(one), shown(two), found)


# ---------------------------------------------------------------- zip


def _zip(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    try:
        with zipfile.ZipFile(io.BytesIO(first)) as one, zipfile.ZipFile(io.BytesIO(second)) as two:
            return _zip_members(one, two, clues, descend)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, ValueError) as exc:
        raise NotOfThisFormError from exc


def _zip_members(one: zipfile.ZipFile, two: zipfile.ZipFile, clues: Clues, descend: Descend) -> Content:
    left, right = ({i.filename: i for i in z.infolist()} for z in (one, two))
    if max(len(left), len(right)) > _MOST_MEMBERS:
        raise NotOfThisFormError
    inside = missing("member", list(left), list(right)) + _ordered(list(left), list(right))
    repacked, budget = 0, MOST_UNPACKED
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        inside += _zip_fields(a, b, clues)
        if (a.CRC, a.file_size) == (b.CRC, b.file_size) and a.compress_size == b.compress_size:
            continue
        budget -= a.file_size + b.file_size
        if budget < 0:
            raise NotOfThisFormError
        data = one.open(a).read(a.file_size), two.open(b).read(b.file_size)
        if data[0] != data[1]:
            inside.append(descend("member", name, *data))
        else:
            repacked += 1
    findings: tuple[Finding, ...] = ()
    if repacked:
        findings = (Finding("compressor", f"{repacked} members are the same, compressed otherwise", CERTAIN),)
    return Content("zip", findings, tuple(sorted(inside, key=lambda d: d.where)))


def _zip_fields(a: zipfile.ZipInfo, b: zipfile.ZipInfo, clues: Clues) -> list[Difference]:
    found = []
    if a.date_time != b.date_time:
        name = "the DOS time in a zip archive"
        found.append(_time(a.filename, _dos_time(a), _dos_time(b), name, clues))
    modes = a.external_attr >> 16, b.external_attr >> 16
    if modes[0] != modes[1]:
        cause = Finding("umask", f"{modes[0]:o} / {modes[1]:o}, in a zip archive", LIKELY)
        found.append(_value(a.filename, "mode", f"{modes[0]:o}", f"{modes[1]:o}", cause))
    if a.compress_type != b.compress_type:
        cause = Finding("compressor", f"method {a.compress_type} / {b.compress_type}", CERTAIN)
        found.append(_value(a.filename, "compression", a.compress_type, b.compress_type, cause))
    if a.extra != b.extra and a.date_time == b.date_time:
        found.append(
            _value(a.filename, "extra field", a.extra.hex(), b.extra.hex(), _extra(a.extra, b.extra, clues))
        )
    return found


def _dos_time(info: zipfile.ZipInfo) -> float:
    try:
        return datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _extra(one: bytes, two: bytes, clues: Clues) -> Finding | None:
    """What two extra fields say: Info-ZIP's times (`UT`) and owners (`ux`)."""
    fields = [_extra_fields(e) for e in (one, two)]
    times = [struct.unpack_from("<I", f[b"UT"], 1)[0] for f in fields if len(f.get(b"UT", b"")) >= 5]
    if len(times) == 2 and times[0] != times[1]:
        values = f"{shown(times[0])} / {shown(times[1])}"
        return time_finding("the Unix time in a zip archive", times[0], times[1], values, clues)
    if fields[0].get(b"ux") != fields[1].get(b"ux"):
        return Finding("user", "owners in a zip archive", LIKELY)
    return None


def _extra_fields(extra: bytes) -> dict[bytes, bytes]:
    found, at = {}, 0
    while at + 4 <= len(extra):
        size = int.from_bytes(extra[at + 2 : at + 4], "little")
        found[extra[at : at + 2]] = extra[at + 4 : at + 4 + size]
        at += 4 + size
    return found


# ---------------------------------------------------------------- ar


#: Where the decimal fields of an ar header are: time, owner, group, size.
_AR_NUMBERS = ((16, 28), (28, 34), (34, 40), (48, 58))


@dataclass(frozen=True, slots=True)
class _ArMember:
    time: int
    owner: tuple[int, int]
    mode: str
    data: bytes


def _ar(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    left, right = _ar_members(first), _ar_members(second)
    inside = missing("member", list(left), list(right)) + _ordered(list(left), list(right))
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        if a.time != b.time:
            inside.append(_time(name, a.time, b.time, "the time in an ar header", clues))
        if a.owner != b.owner:
            cause = Finding("user", f"{a.owner} / {b.owner}, owners in an ar header", CERTAIN)
            inside.append(_value(name, "owner", a.owner, b.owner, cause))
        if a.mode != b.mode:
            cause = Finding("umask", f"{a.mode} / {b.mode}, modes in an ar header", LIKELY)
            inside.append(_value(name, "mode", a.mode, b.mode, cause))
        if a.data != b.data:
            inside.append(descend("member", name, a.data, b.data))
    return Content("ar", (), tuple(sorted(inside, key=lambda d: d.where)))


def _ar_members(data: bytes) -> Mapping[str, _ArMember]:
    """The members of an ar archive (`ar(5)`), the later of equal names with a number."""
    found: dict[str, _ArMember] = {}
    at = 8
    while at + 60 <= len(data) and len(found) < _MOST_MEMBERS:
        header = data[at : at + 60]
        if header[58:60] != b"`\n":
            raise NotOfThisFormError
        try:
            time, uid, gid, size = (
                int(header[a:b].strip() or b"0") for a, b in ((16, 28), (28, 34), (34, 40), (48, 58))
            )
        except ValueError as exc:
            raise NotOfThisFormError from exc
        name = header[:16].decode("latin-1").strip().rstrip("/") or "symbols"
        name = f"{name}#{len(found)}" if name in found else name
        body = data[at + 60 : at + 60 + size]
        found[name] = _ArMember(min(time, 1 << 36), (uid, gid), header[40:48].decode("latin-1").strip(), body)
        at += 60 + size + size % 2
    return found


# ---------------------------------------------------------------- tar


def _tar(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    left, right = _tar_members(first), _tar_members(second)
    inside = missing("member", list(left), list(right)) + _ordered(list(left), list(right))
    for name in left.keys() & right.keys():
        (a, one), (b, two) = left[name], right[name]
        inside += metadata(a, b, clues, kind="member")
        if one != two:
            inside.append(descend("member", name, one, two))
    return Content("tar", (), tuple(sorted(inside, key=lambda d: d.where)))


def _tar_members(data: bytes) -> dict[str, tuple[Member, bytes]]:
    found: dict[str, tuple[Member, bytes]] = {}
    try:
        for member in read_members([data], inside=True, sparse=True):
            name = member.entry.path.decode("utf-8", "backslashreplace") or "."
            content = member.content.read() if member.content is not None else b""
            found[name] = member._replace(content=None), content
            if len(found) > _MOST_MEMBERS:
                raise NotOfThisFormError
    except BuildError as exc:
        raise NotOfThisFormError from exc
    return found


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


FORMS = (
    Form("zip", beginning(b"PK\x03\x04", b"PK\x05\x06"), _zip),
    Form("ar", beginning(b"!<arch>\n"), _ar),
    Form("tar", _is_tar, _tar),
)
