"""A strict reader of tar archives from outside: ustar, PAX and GNU, streamed, every size bounded.

It only reads: nothing here touches a file system.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple
from zlib import adler32

from buildtool.diag import BuildError
from buildtool.layers.decompress import decompressed
from buildtool.layers.entry import Entry, Kind, Xattrs

#: Bounds on what an archive may make us hold or do.
MOST_ENTRIES = 4_000_000
MOST_EXTENDED = 1 << 20  # bytes of one extended header or GNU long name
MOST_PATH = 4096  # bytes, Linux's PATH_MAX
_IN_MEMORY = 1 << 18

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_KINDS = {
    b"0": Kind.FILE,
    b"\x00": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHAR,
    b"4": Kind.BLOCK,
    b"5": Kind.DIR,
    b"6": Kind.FIFO,
}
_XATTR = b"SCHILY.xattr."
_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")
_DECIMAL = re.compile(rb"[0-9]{1,19}")
_TIME = re.compile(rb"(-?)([0-9]{1,18})(?:\.([0-9]*))?")


def read_tar(stream: BinaryIO, *, inside: bool = False) -> Iterator[tuple[Entry, BinaryIO | None]]:
    """The entries of a tar archive, compressed or not, each with a reader of its bytes if it is a file.

    A reader is good until the next entry is asked for.  Paths and the targets of
    hard links come relative, without `.`, empty parts or a slash at the end;
    owners are numeric, times whole seconds.  Names that begin with `.wh.` are names
    like any other.  BuildError `bad-archive` for anything malformed or beyond the
    bounds, `unsafe-archive` for a path with `..`; with `inside`, `..` is taken as at
    the root of a file system, where it leads nowhere.
    """
    return read_chunks(decompressed(stream), inside=inside)


def read_chunks(chunks: Iterable[bytes], *, inside: bool = False) -> Iterator[tuple[Entry, BinaryIO | None]]:
    """As `read_tar`, of the bytes of the archive itself; reads up to the mark of its end."""
    for member in read_members(chunks, inside=inside):
        yield member.entry, member.content


class Member(NamedTuple):
    """An entry as an archive writes it: its header block, and the records of its extended headers."""

    entry: Entry
    header: bytes
    records: dict[bytes, bytes]
    content: BinaryIO | None


def read_members(chunks: Iterable[bytes], *, inside: bool = False, sparse: bool = False) -> Iterator[Member]:
    """As `read_chunks`, with all that is said of each entry.

    With `sparse`, sparse files are not refused: their bytes are those that the archive holds.
    """
    source = _Source(chunks)
    count = 0
    while (block := source.header()) is not None:
        extended: dict[bytes, bytes] = {}
        while (kind := block[156:157]) in b"xgLK":
            _extend(extended, kind, source.extension(block), sparse)
            following = source.header()
            if following is None:
                raise _bad("it ends after an extended header")
            block = following
        count += 1
        if count > MOST_ENTRIES:
            raise _bad(f"it has more than {MOST_ENTRIES:,} entries")
        if sparse and block[156:157] == b"S":
            block = _stored(block, extended, source)
        entry = _entry(block, extended, _inside if inside else clean_path)
        yield Member(entry, block, extended, source.content(entry.size) if entry.kind is Kind.FILE else None)
        source.finish_content()


def _stored(block: bytes, extended: dict[bytes, bytes], source: "_Source") -> bytes:
    """The header of GNU's sparse file as one of an ordinary file; its map becomes a record."""
    places, more = block[386:482], block[482]
    while more and len(places) <= MOST_EXTENDED:
        following = source.take(_BLOCK)
        places, more = places + following[:504], following[504]
    extended[b"GNU.sparse.map"] = places.rstrip(b"\x00")
    return block[:156] + b"0" + block[157:]


def is_tar(stream: BinaryIO) -> bool:
    """Whether a stream begins as a tar archive does, compressed or not; reads some of it."""
    try:
        start = b""
        for chunk in decompressed(stream):
            start += chunk
            if len(start) >= _BLOCK:
                break
        if len(start) < _BLOCK or start[:_BLOCK] == _ZEROS:
            return False
        _check_sum(start[:_BLOCK])
    except BuildError:
        return False
    return True


def _bad(what: str) -> BuildError:
    return BuildError("bad-archive", f"not a tar archive that can be read: {what}")


# ---------------------------------------------------------------- the stream


class _Source:
    """The bytes of an archive, in blocks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._left = 0  # bytes of the present file that were not read yet
        self._padding = 0

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        end = self._at + size
        if end <= len(self._data):
            data = self._data[self._at : end]
            self._at = end
            return data
        parts = [self._data[self._at :]]
        missing = size - len(parts[0])
        while missing:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise _bad("it ends too early")
            parts.append(chunk[:missing])
            self._data, self._at = chunk, len(parts[-1])
            missing -= self._at
        return b"".join(parts)

    def header(self) -> bytes | None:
        """The next header block; None at the end: a block of zeros or, as some writers do, nothing more."""
        if self._at >= len(self._data):
            self._data, self._at = next(self._chunks, b""), 0
            if not self._data:
                return None
        block = self.take(_BLOCK)
        if block == _ZEROS:
            return None
        _check_sum(block)
        return block

    def extension(self, block: bytes) -> bytes:
        size = _number(block, 124, 12, "size")
        if size > MOST_EXTENDED:
            raise _bad(f"an extended header has {size:,} bytes")
        return self.take(size + -size % _BLOCK)[:size]

    def content(self, size: int) -> BinaryIO:
        if size <= _IN_MEMORY:
            return io.BytesIO(self.take(size + -size % _BLOCK)[:size])
        self._left, self._padding = size, -size % _BLOCK
        return io.BufferedReader(_Content(self), 1 << 16)

    def some(self, most: int) -> bytes:
        """Up to `most` bytes of the present file; none at its end."""
        if self._at >= len(self._data) and self._left:
            self._data, self._at = next(self._chunks, b""), 0
            if not self._data:
                raise _bad("it ends too early")
        data = self._data[self._at : self._at + min(most, self._left)]
        self._at += len(data)
        self._left -= len(data)
        return data

    def finish_content(self) -> None:
        while self._left:
            self.some(self._left)
        if self._padding:
            self.take(self._padding)
            self._padding = 0


class _Content(io.RawIOBase):
    """The bytes of one large file of an archive."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        data = self._source.some(len(target))
        target[: len(data)] = data
        return len(data)


# ---------------------------------------------------------------- headers


def _check_sum(block: bytes) -> None:
    wanted = _number(block, 148, 8, "checksum")
    blanked = block[:148] + b" " * 8 + block[156:]
    if blanked.isascii():
        found = (adler32(blanked) & 0xFFFF) - 1  # 512 bytes of ASCII do not reach Adler's modulus
    else:
        found = sum(blanked)
        if found != wanted:
            found = sum(b - 256 if b > 127 else b for b in blanked)  # as some old writers do
    if found != wanted:
        raise _bad("a header's checksum is wrong")


def _number(block: bytes, start: int, length: int, what: str) -> int:
    """A numeric field: octal digits, or GNU's base-256."""
    field = block[start : start + length]
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * length - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * length - 1)
    else:
        digits = field.strip(b" \x00")
        if digits and (not digits.isdigit() or b"8" in digits or b"9" in digits):
            raise _bad(f"a header's {what} is no number")
        value = int(digits or b"0", 8)
    if value < 0 and what != "mtime":
        raise _bad(f"a header's {what} is negative")
    return value


def _text(block: bytes, start: int, length: int) -> bytes:
    return block[start : start + length].partition(b"\x00")[0]


def _extend(extended: dict[bytes, bytes], kind: bytes, body: bytes, sparse: bool) -> None:
    """Take up what an extended header says of the entry that follows; a global one is passed over."""
    if kind == b"L":
        extended[b"path"] = body.partition(b"\x00")[0]
    elif kind == b"K":
        extended[b"linkpath"] = body.partition(b"\x00")[0]
    elif kind == b"x":
        for name, value in _records(body):
            if name.startswith(b"GNU.sparse.") and not sparse:
                raise _bad("sparse files are not supported")
            extended[name] = value


def _records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(body):
        length = _LENGTH.match(body, at)
        if length is None:
            raise _bad("an extended header is malformed")
        end = at + int(length[1])
        record = body[length.end() : end]
        name, equals, value = record.partition(b"=")
        if end > len(body) or not name or b"\x00" in name or not equals or not value.endswith(b"\n"):
            raise _bad("an extended header is malformed")
        yield name, value[:-1]
        at = end


def _entry(block: bytes, extended: dict[bytes, bytes], clean: Callable[[bytes], bytes]) -> Entry:
    flag = block[156:157]
    kind = _KINDS.get(flag)
    if kind is None:
        what = "sparse files" if flag == b"S" else f"entries of type {flag!r}"
        raise _bad(f"{what} are not supported")
    name = _text(block, 0, 100)
    if block[257:263] == b"ustar\x00":
        prefix = _text(block, 345, 155)
        name = prefix + b"/" + name if prefix else name
    name = extended.get(b"path", name)
    if kind is Kind.FILE and name.endswith(b"/"):
        kind = Kind.DIR  # as archives from before POSIX say it
    linkname = extended.get(b"linkpath", _text(block, 157, 100))
    if kind is Kind.HARDLINK:
        linkname = clean(linkname)
    elif kind is Kind.SYMLINK:
        if not linkname or len(linkname) > MOST_PATH or b"\x00" in linkname:
            raise _bad("the target of a symbolic link is empty or too long")
    else:
        linkname = b""
    device = kind is Kind.CHAR or kind is Kind.BLOCK
    return Entry(
        clean(name),
        kind,
        _number(block, 100, 8, "mode") & 0o7777,
        _id(block, 108, extended.get(b"uid"), "uid"),
        _id(block, 116, extended.get(b"gid"), "gid"),
        max(0, _mtime(block, extended.get(b"mtime"))),
        _size(block, extended.get(b"size")) if kind is Kind.FILE else 0,
        linkname,
        _number(block, 329, 8, "device") if device else 0,
        _number(block, 337, 8, "device") if device else 0,
        _xattrs(extended),
    )


def clean_path(name: bytes) -> bytes:
    """A name of an archive as a path of ours; BuildError for one that is empty, too long or has `..`."""
    if len(name) > MOST_PATH or not name or b"\x00" in name:
        raise _bad("a name is empty, too long or has a zero byte")
    parts = [part for part in name.split(b"/") if part and part != b"."]
    if b".." in parts:
        shown = name.decode("utf-8", "backslashreplace")
        raise BuildError("unsafe-archive", f"the archive has a name that leaves its root: {shown}")
    return b"/".join(parts)


def _inside(name: bytes) -> bytes:
    """A name of an archive with each `..` taken with the part before it, if there is one."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        else:
            parts.append(part)
    return clean_path(b"/".join(parts) or b".")


def _id(block: bytes, start: int, text: bytes | None, what: str) -> int:
    value = _number(block, start, 8, what) if text is None else _decimal(text, what)
    # 2**32 - 1 means "leave it as it is" to chown.
    if value >= 0xFFFF_FFFF:
        raise _bad(f"a {what} of {value} is too large")
    return value


def _size(block: bytes, text: bytes | None) -> int:
    value = _number(block, 124, 12, "size") if text is None else _decimal(text, "size")
    if value > 1 << 60:
        raise _bad(f"a size of {value} is too large")
    return value


def _mtime(block: bytes, text: bytes | None) -> int:
    if text is None:
        return min(_number(block, 136, 12, "mtime"), 1 << 40)
    found = _TIME.fullmatch(text)
    if found is None:
        raise _bad("an mtime is no number")
    seconds = int(found[2])
    if found[1]:
        seconds = -seconds - 1 if (found[3] or b"").strip(b"0") else -seconds
    return min(seconds, 1 << 40)


def _decimal(text: bytes, what: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise _bad(f"a {what} is no number")
    return int(text)


def _xattrs(extended: dict[bytes, bytes]) -> Xattrs:
    if not extended:
        return ()
    size = len(_XATTR)
    return tuple(sorted((n[size:], v) for n, v in extended.items() if n.startswith(_XATTR)))
