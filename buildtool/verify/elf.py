"""ELF files: a small reader of their sections, compared one by one."""

import struct
from dataclasses import dataclass

from buildtool.verify.clues import Clues
from buildtool.verify.form import Content, Descend, Form, NotOfThisFormError, beginning, missing
from buildtool.verify.marks import CERTAIN, LIKELY, quoted
from buildtool.verify.model import Difference, Finding

_NOBITS = 8
#: Sections that say where others are, or how large: they follow from those.
_FOLLOWING = (".gnu_debuglink", ".shstrtab", ".symtab", ".strtab", ".hash", ".gnu.hash", ".eh_frame_hdr")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Formats of the header's last fields and of a section's header, for 32 and 64 bits."""

    header: str
    at: int
    section: str


_LAYOUTS = {1: _Layout("IHHHHHH", 32, "IIIIIIIIII"), 2: _Layout("QIHHHHHH", 40, "IIQQQQIIQQ")}


def sections(data: bytes) -> dict[str, bytes]:
    """The sections of an ELF file by name, in order (later ones of a name get a number)."""
    try:
        return _sections(data)
    except (struct.error, KeyError, IndexError) as exc:
        raise NotOfThisFormError from exc


def _sections(data: bytes) -> dict[str, bytes]:
    bits, order = data[4], {1: "<", 2: ">"}[data[5]]
    layout = _LAYOUTS[bits]
    fields = struct.unpack_from(order + layout.header, data, layout.at)
    offset = fields[0]
    _, _, _, size, count, names = fields[-6:]
    if size != struct.calcsize(order + layout.section):
        raise NotOfThisFormError
    rows = [struct.unpack_from(order + layout.section, data, offset + size * n) for n in range(count)]
    table = _bytes(data, rows[names])
    found: dict[str, bytes] = {}
    for row in rows[1:]:
        end = table.find(b"\0", row[0], row[0] + 256)
        name = table[row[0] : end].decode("latin-1") if end >= 0 else f"section {len(found)}"
        name = f"{name}#{len(found)}" if name in found else name
        found[name] = b"" if row[1] == _NOBITS else _bytes(data, row)
    return found


def _bytes(data: bytes, row: tuple[int, ...]) -> bytes:
    if row[4] + row[5] > len(data):
        raise NotOfThisFormError
    return data[row[4] : row[4] + row[5]]


def _elf(first: bytes, second: bytes, clues: Clues, descend: Descend) -> Content:
    left, right = sections(first), sections(second)
    if not left or not right:
        raise NotOfThisFormError
    inside = missing("part", list(left), list(right))
    differing = [name for name in left if name in right and left[name] != right[name]]
    telling = [n for n in differing if n not in _FOLLOWING and not n.startswith(".note.gnu.build-id")]
    for name in differing:
        if name.startswith(".note.gnu.build-id"):
            inside.append(_build_id(name, left[name], right[name], bool(telling)))
        elif name in _FOLLOWING and telling:
            inside.append(_follows(name, telling))
        else:
            inside.append(descend("part", name, left[name], right[name]))
    if not inside:
        raise NotOfThisFormError
    return Content("ELF", (), tuple(inside))


def _build_id(name: str, one: bytes, two: bytes, others: bool) -> Difference:
    ids = one[16:].hex(), two[16:].hex()
    cause = "derived" if others else "random-identifier"
    why = "the build id, a digest of the other sections" if others else "the build id alone"
    return Difference("part", name, "build id", *ids, (Finding(cause, f"{quoted(*ids)}, {why}", LIKELY),))


def _follows(name: str, telling: list[str]) -> Difference:
    finding = Finding("derived", f"it describes {', '.join(telling[:3])}", CERTAIN)
    return Difference("part", name, "content", findings=(finding,))


FORMS = (Form("ELF", beginning(b"\x7fELF"), _elf),)
