"""Compressed files: what is inside, and where that is the same, what of the compression differs."""

import io
import struct
from collections.abc import Callable

from buildtool.diag import BuildError
from buildtool.layers.decompress import decompressed
from buildtool.verify.clues import Clues
from buildtool.verify.explain import explain
from buildtool.verify.form import Content, Descend, Form, NotOfThisFormError, beginning
from buildtool.verify.marks import CERTAIN, LIKELY, quoted, time_finding
from buildtool.verify.model import Finding
from buildtool.verify.times import shown

#: Bytes that are unpacked out of one file.
MOST_UNPACKED = 1 << 26

_LEVELS = {0: "", 2: "the slowest level", 4: "the fastest level"}
_SYSTEMS = {0: "FAT", 3: "Unix", 7: "Macintosh", 10: "NTFS", 11: "NTFS", 255: "unknown"}
_NAME = 0x08


def unpack(data: bytes) -> bytes:
    """What a compressed file holds."""
    parts, size = [], 0
    try:
        for chunk in decompressed(io.BytesIO(data)):
            parts.append(chunk)
            size += len(chunk)
            if size > MOST_UNPACKED:
                raise NotOfThisFormError
    except BuildError as exc:
        raise NotOfThisFormError from exc
    return b"".join(parts)


def _packed(name: str, header: Callable[[bytes, bytes, Clues], list[Finding]]) -> Callable[..., Content]:
    def compare(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
        one, two = unpack(first), unpack(second)
        findings = header(first, second, clues)
        if one != two:
            return Content(name, tuple(findings), (descend("part", "what it holds", one, two),))
        if not findings or len(first) != len(second):
            sizes = f"{len(one)} bytes are {len(first)} and {len(second)} bytes of {name}"
            findings.append(Finding("compressor", sizes, CERTAIN))
        return Content(name, tuple(findings))

    return compare


def _gzip_header(first: bytes, second: bytes, clues: Clues) -> list[Finding]:
    """What differs in the headers of two gzip files (RFC 1952, 2.3)."""
    if min(len(first), len(second)) < 18:
        raise NotOfThisFormError
    found = []
    (_, _, flags, time, level, system), other = (struct.unpack_from("<HBBIBB", d) for d in (first, second))
    if time != other[3]:
        values = f"{shown(time) if time else 'none'} / {shown(other[3]) if other[3] else 'none'}"
        made = time_finding("the time in a gzip header", time, other[3], values, clues)
        assert made is not None
        found.append(made)
    if flags == other[2] == _NAME:
        names = [d[10 : 10 + max(0, d[10:4106].find(b"\0"))].decode("latin-1") for d in (first, second)]
        if names[0] != names[1]:
            said = list(explain(names[0], names[1], clues.at("")).findings)
            found += said or [Finding("build-path", f"{quoted(*names)}, the name in a gzip header", LIKELY)]
    if level != other[4]:
        what = [_LEVELS.get(x, str(x)) or "the usual level" for x in (level, other[4])]
        found.append(Finding("compressor", f"{quoted(*what)}, of gzip's header", CERTAIN))
    if system != other[5]:
        what = [_SYSTEMS.get(x, str(x)) for x in (system, other[5])]
        found.append(Finding("compressor", f"{quoted(*what)}, the system in gzip's header", CERTAIN))
    return found


def _no_header(first: bytes, second: bytes, clues: Clues) -> list[Finding]:
    return []


FORMS = (
    Form("gzip", beginning(b"\x1f\x8b\x08"), _packed("gzip", _gzip_header)),
    Form("bzip2", beginning(b"BZh"), _packed("bzip2", _no_header)),
    Form("xz", beginning(b"\xfd7zXZ\x00"), _packed("xz", _no_header)),
    Form("zstd", beginning(b"\x28\xb5\x2f\xfd"), _packed("zstd", _no_header)),
)
