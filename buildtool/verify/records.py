"""Files of a known layout: Python bytecode, caches of apt and of ldconfig, SQLite databases."""

import re
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from buildtool.verify.binary import binary_difference
from buildtool.verify.clues import Clues
from buildtool.verify.form import Content, Descend, Form, NotOfThisFormError, beginning
from buildtool.verify.marks import CERTAIN, LIKELY, POSSIBLE, quoted, time_finding
from buildtool.verify.model import Difference, Finding, merged
from buildtool.verify.order import same_items
from buildtool.verify.text import strings_difference, text_difference
from buildtool.verify.times import shown

# ---------------------------------------------------------------- Python bytecode

_PYC = struct.Struct("<4sIII")  # magic, flags, source mtime, source size (PEP 552)


def _is_pyc(data: bytes) -> bool:
    # CPython's magic numbers are 16 bits and a line end; code begins with a marshalled code object.
    return len(data) > 16 and data[2:4] == b"\r\n" and data[16] & 0x7F == ord("c") and data[4] < 4


def _pyc(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    one, two = _PYC.unpack_from(first), _PYC.unpack_from(second)
    findings: list[Finding] = []
    inside: list[Difference] = []
    if one[0] != two[0]:
        magics = quoted(*(str(int.from_bytes(m[:2], "little")) for m in (one[0], two[0])))
        findings.append(Finding("upstream", f"{magics}, the bytecode of two versions of Python", CERTAIN))
    elif one[1] != two[1]:
        findings.append(
            Finding("environment", f"{quoted(hex(one[1]), hex(two[1]))}, how bytecode is checked", LIKELY)
        )
    elif one[1] == 0 and one[2] != two[2]:
        values = f"{shown(one[2])} / {shown(two[2])}"
        name = "the source's time in a .pyc header"
        made = time_finding(name, one[2], two[2], values, clues)
        inside.append(
            Difference(
                "part", "header", "source mtime", shown(one[2]), shown(two[2]), (made,) if made else ()
            )
        )
    elif one[2:] != two[2:]:
        findings.append(Finding("derived", "the header tells of another source", LIKELY))
    if first[16:] != second[16:]:
        inside.append(Difference("part", "code", "content", findings=_code(first[16:], second[16:], clues)))
    return Content("Python bytecode", tuple(findings), tuple(inside))


#: marshal's types of ASCII and other strings, with one byte or four for their length, seen before or not.
_ANY = re.compile(rb"[zZ\xfa\xda](.)|[aAu\xe1\xc1\xf5](....)", re.DOTALL)
_TEXT = re.compile(rb"[\x20-\x7e\t\n\x80-\xff]*")


def _code(one: bytes, two: bytes, clues: Clues) -> tuple[Finding, ...]:
    """What differs in marshalled code; it is not unmarshalled, which strangers' bytes could abuse."""
    (left, rest), (right, other) = _constants(one), _constants(two)
    if left != right and same_items(left, right):
        pair = next((a, b) for a, b in zip(left, right, strict=True) if a != b)
        return (Finding("hash-seed", f"the same constants, in another order: {quoted(*pair)}", CERTAIN),)
    if len(one) == len(two) and sorted(one) == sorted(two):
        return (Finding("hash-seed", "the same bytes, the items of a set in another order", LIKELY),)
    found = strings_difference(left, right, clues) if left != right else ()
    return (*found, *(binary_difference(rest, other, clues) if rest != other else ()))


def _constants(code: bytes) -> tuple[list[str], bytes]:
    """The strings among marshalled constants, and the code without them."""
    found, rest, at = [], [], 0
    while (match := _next(code, at)) is not None:
        start, begin, end = match
        found.append(code[begin:end].decode("utf-8", "backslashreplace"))
        rest.append(code[at:start])
        at = end
    return found, b"".join([*rest, code[at:]])


def _next(code: bytes, at: int) -> tuple[int, int, int] | None:
    """Where the next string's length, its text and what follows begin."""
    while (match := _ANY.search(code, at)) is not None:
        begin = match.end()
        size = int.from_bytes(match[1] or match[2], "little")
        if 0 < size <= len(code) - begin and _TEXT.fullmatch(code, begin, begin + size):
            return match.start() + 1, begin, begin + size
        at = match.start() + 1
    return None


# ---------------------------------------------------------------- ldconfig

_AUX_MAGIC = b"glibc-ld.so.auxcache-"
_AUX_HEAD = struct.Struct("<24sII")
_AUX_ENTRY = struct.Struct("<QQQQiIIi")  # inode, change time, size, device, flags, soname, version, padding


def _aux_cache(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    """glibc's elf/cache.c, `struct aux_cache_file`."""
    left, right = _aux_entries(first), _aux_entries(second)
    if len(left) != len(right):
        evidence = f"{len(left)} / {len(right)} libraries"
        return Content("ldconfig's cache", (Finding("derived", evidence, LIKELY),))
    findings = []
    inodes = [(a[0], b[0]) for a, b in zip(sorted(left), sorted(right), strict=True) if a[0] != b[0]]
    times = [
        (a, b) for a, b in zip(sorted(e[1] for e in left), sorted(e[1] for e in right), strict=True) if a != b
    ]
    devices = {(a[3], b[3]) for a, b in zip(left, right, strict=True) if a[3] != b[3]}
    if inodes:
        findings.append(
            Finding("inode", f"{quoted(*map(str, inodes[0]))}, inode numbers", CERTAIN, len(inodes))
        )
    if devices:
        findings.append(Finding("inode", f"{quoted(*map(str, min(devices)))}, device numbers", CERTAIN))
    if times and all(max(pair) < 1 << 40 for pair in times):
        values = f"{shown(times[0][0])} / {shown(times[0][1])}"
        made = time_finding("change times of libraries", *times[0], values, clues)
        findings += [made] if made else []
    if not findings:
        raise NotOfThisFormError
    return Content("ldconfig's cache", merged(findings))


def _column(left: list[tuple[int, ...]], right: list[tuple[int, ...]], number: int) -> list[tuple[int, int]]:
    """The values of a field that differ, in the order of the values: ldconfig sorts by inode."""
    columns = (sorted(entry[number] for entry in side) for side in (left, right))
    return [(a, b) for a, b in zip(*columns, strict=True) if a != b]


def _aux_entries(data: bytes) -> list[tuple[int, ...]]:
    try:
        _, count, _ = _AUX_HEAD.unpack_from(data)
        if _AUX_HEAD.size + count * _AUX_ENTRY.size > len(data):
            raise NotOfThisFormError
        return [_AUX_ENTRY.unpack_from(data, _AUX_HEAD.size + n * _AUX_ENTRY.size) for n in range(count)]
    except struct.error as exc:
        raise NotOfThisFormError from exc


# ---------------------------------------------------------------- apt

_APT_MAGIC = struct.pack("<I", 0x98FE76DC)


def _apt_cache(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    """apt's pkgcachegen: a mapped file with the times of package lists, and what memory held between."""
    findings = [
        replace(f, confidence=LIKELY) if f.confidence is POSSIBLE else f
        for f in binary_difference(first, second, clues)
        if f.cause != "unexplained"
    ]
    if not any(f.cause == "embedded-time" for f in findings):
        evidence = "apt's package cache holds the times of the package lists"
        findings.append(Finding("embedded-time", evidence, LIKELY))
    return Content("apt's package cache", merged(findings))


# ---------------------------------------------------------------- SQLite

_SQLITE_MAGIC = b"SQLite format 3\x00"
_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
_MOST_ROWS = 50_000
_MOST_STEPS = 20_000_000  # of SQLite's virtual machine
_WIDEST_VALUE = 4096


def _sqlite(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    try:
        one, two = (list(_rows(data)) for data in (first, second))
    except (sqlite3.Error, MemoryError, UnicodeDecodeError, OverflowError) as exc:
        raise NotOfThisFormError from exc
    if one == two:
        evidence = "the same tables and rows, laid out otherwise: VACUUM INTO makes one layout of them"
        findings = binary_difference(first, second, clues)
        if any(f.cause == "unexplained" for f in findings):
            findings = (Finding("unexplained", evidence, POSSIBLE),)
        return Content("SQLite", findings)
    texts = ["\n".join(rows).encode("utf-8", "backslashreplace") for rows in (one, two)]
    seen = text_difference(texts[0], texts[1], clues)
    return Content("SQLite", seen.findings, lines=seen.lines)


def _rows(data: bytes) -> Iterator[str]:
    """The schema and the rows of a database, a line each.

    It is foreign: no trigger or function of it runs.
    """
    if not hasattr(sqlite3.Connection, "deserialize"):
        raise NotOfThisFormError
    steps = iter(range(_MOST_STEPS // 10_000))
    with closing(sqlite3.connect(":memory:")) as database:
        # A database in WAL mode wants a file beside it: say that it is not.
        database.deserialize(data[:18] + b"\x01\x01" + data[20:])
        database.set_progress_handler(lambda: next(steps, None) is None, 10_000)
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.text_factory = lambda value: value.decode("utf-8", "backslashreplace")
        schema = database.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchmany(
            _MOST_ROWS
        )
        left = _MOST_ROWS
        for kind, name, sql in schema:
            yield f"{kind} {name}: {' '.join(str(sql).split())}"
            if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
                quoted_name = str(name).replace('"', '""')
                for row in database.execute(f'SELECT * FROM "{quoted_name}"').fetchmany(left):
                    left -= 1
                    yield f"{name}: {', '.join(_shown(value) for value in row)}"


def _shown(value: object) -> str:
    return (
        value.hex()[:_WIDEST_VALUE]
        if isinstance(value, bytes)
        else str(value)[:_WIDEST_VALUE].replace("\n", "\\n")
    )


FORMS = (
    Form("SQLite", beginning(_SQLITE_MAGIC), _sqlite),
    Form("ldconfig's cache", beginning(_AUX_MAGIC), _aux_cache),
    Form("apt's package cache", beginning(_APT_MAGIC), _apt_cache),
    Form("Python bytecode", _is_pyc, _pyc),
)
