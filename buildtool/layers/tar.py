"""The one writer of layers: entries become a tar stream, its digests, and its compressed form.

The bytes are specified in docs/design/layer-format.md.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from zlib import adler32

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.layers.compression import PIECE, Compression, PieceCompressor
from buildtool.layers.entry import (
    WHITEOUT_PREFIX,
    Content,
    Entry,
    FileContent,
    FileSlice,
    Kind,
    display,
    layer_name,
)

Sink = Callable[[bytes], object]

_LONGEST_NAME = 100
_MOST_ID = 0o7777777
_MOST_NUMBER = 0o77777777777
_READ_WHOLE = 1 << 18
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHAR: b"3",
    Kind.BLOCK: b"4",
    Kind.DIR: b"5",
    Kind.FIFO: b"6",
    Kind.WHITEOUT: b"0",
    Kind.OPAQUE: b"0",
}
_MAGIC = b"ustar\x0000" + bytes(64)  # magic, version, no user name, no group name
_NO_DEVICE = b"0000000\x000000000\x00"
_PREFIX = bytes(155 + 12)  # the prefix field is never used
_TAIL = _MAGIC + _NO_DEVICE + _PREFIX
_PAX_NAME = b"././@PaxHeader"
_PADDING = [bytes(-n % 512) for n in range(512)]
_END = bytes(1024)

#: What stands for the checksum while it is computed, and the rest of a file's header after it.
_BLANK = b" " * 8
_FILE_REST = b"0" + bytes(100) + _TAIL
_FILE_SUM = sum(_BLANK + _FILE_REST)

#: Bytes beyond ASCII, as the ustar name field shows them to readers that know no PAX.
_ASCII = bytes(b if b < 0x80 else 0x3F for b in range(256))


class WrittenLayer(NamedTuple):
    """A written layer: digest and size of the tar stream, and of its compressed form (None without)."""

    diff_id: Digest
    size: int
    digest: Digest | None
    compressed_size: int | None


def header(entry: Entry) -> bytes:
    """The header blocks of an entry, extended header included; a multiple of 512 bytes."""
    path, kind, mode, uid, gid, mtime, size, linkname, major, minor, xattrs = entry
    if kind is Kind.WHITEOUT or kind is Kind.OPAQUE:
        path = layer_name(entry)
    elif kind is Kind.DIR:
        path = path + b"/" if path else b"./"
    records: list[tuple[bytes, bytes]] = []
    if len(path) > _LONGEST_NAME or not path.isascii():
        records.append((b"path", path))
        path = path[:_LONGEST_NAME].translate(_ASCII)
    if len(linkname) > _LONGEST_NAME or not linkname.isascii():
        records.append((b"linkpath", linkname))
        linkname = linkname[:_LONGEST_NAME].translate(_ASCII)
    if uid > _MOST_ID:
        records.append((b"uid", b"%d" % uid))
        uid = 0
    if gid > _MOST_ID:
        records.append((b"gid", b"%d" % gid))
        gid = 0
    if size > _MOST_NUMBER:
        records.append((b"size", b"%d" % size))
        size = 0
    if mtime > _MOST_NUMBER:
        records.append((b"mtime", b"%d" % mtime))
        mtime = 0
    records += [(b"SCHILY.xattr." + name, value) for name, value in xattrs]
    device = b"%07o\x00%07o\x00" % (major, minor) if major or minor else _NO_DEVICE
    block = _block(path, mode, uid, gid, size, mtime, _TYPES[kind], linkname, device)
    return _extended(records) + block if records else block


def _block(
    path: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    kind: bytes,
    linkname: bytes,
    device: bytes = _NO_DEVICE,
) -> bytes:
    numbers = b"%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00" % (mode, uid, gid, size, mtime)
    head = path.ljust(_LONGEST_NAME, b"\x00") + numbers
    rest = kind + linkname.ljust(100, b"\x00") + _MAGIC + device + _PREFIX
    return b"%b%06o\x00 %b" % (head, sum(head + _BLANK + rest), rest)


def _extended(records: list[tuple[bytes, bytes]]) -> bytes:
    """A PAX extended header (POSIX.1-2001, pax, "pax Extended Header") with these records, sorted."""
    body = b"".join(_record(name, value) for name, value in sorted(records))
    return _block(_PAX_NAME, 0o644, 0, 0, len(body), 0, b"x", b"") + body + _PADDING[len(body) & 511]


def _record(name: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    rest = len(name) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, name, value)


def write_layer(
    entries: Iterable[tuple[Entry, Content]],
    *,
    compression: Compression | None = None,
    sink: Sink | None = None,
    advance: Callable[[int], object] | None = None,
    threads: int | None = None,
) -> WrittenLayer:
    """Write a layer: entries in the order of a layer, each once, after the folders that hold it.

    `sink` gets the layer, compressed if `compression` is given, in pieces;
    `advance` the bytes of the tar stream that were made since it was last called.
    Memory is bounded whatever the size of the layer.  BuildError `file-changed` for
    a file that has not the size its entry says, `reserved-name` for a file whose
    name would make it a whiteout; ValueError for entries that are out of order.
    """
    stream = _Stream(compression, sink, advance, threads)
    try:
        _write(entries, stream)
        return stream.close()
    except BaseException:
        stream.abort()
        raise


def _write(entries: Iterable[tuple[Entry, Content]], stream: "_Stream") -> None:
    """The loop that every file of every layer goes through: written out, for speed."""
    buffer, flush = stream.buffer, stream.flush
    order = _Order()
    file = Kind.FILE
    for entry, content in entries:
        path, kind, mode, uid, gid, mtime, size, _, _, _, xattrs = entry
        order.check(entry, path)
        plain = kind is file and not xattrs and len(path) <= 100 and path.isascii()
        if plain and size <= _MOST_NUMBER and uid <= _MOST_ID and gid <= _MOST_ID and mtime <= _MOST_NUMBER:
            numbers = b"%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00" % (mode, uid, gid, size, mtime)
            head = path.ljust(100, b"\x00") + numbers
            # Adler-32's lower half is one more than the sum modulo 65521, which 148 bytes
            # of ASCII cannot reach: the checksum in one call.
            total = (adler32(head) & 0xFFFF) - 1 + _FILE_SUM
            buffer += b"%b%06o\x00 %b" % (head, total, _FILE_REST)
        else:
            buffer += header(entry)
        if kind is file:
            if size <= _READ_WHOLE:
                buffer += _small(entry, content)
            else:
                _large(entry, content, stream)
            buffer += _PADDING[size & 511]
        if len(buffer) >= PIECE:
            flush()


def _small(entry: Entry, content: Content) -> bytes:
    if content is None or isinstance(content, bytes):
        data = content or b""
    elif isinstance(content, FileSlice):
        data = b"".join(_slices(content))
    else:
        fd = _open(entry, content)
        try:
            data = os.read(fd, entry.size + 1)
            while 0 < len(data) < entry.size:
                more = os.read(fd, entry.size + 1 - len(data))
                if not more:
                    break
                data += more
        finally:
            os.close(fd)
    if len(data) != entry.size:
        raise _changed(entry)
    return data


def _large(entry: Entry, content: Content, stream: "_Stream") -> None:
    buffer = stream.buffer
    if isinstance(content, FileSlice):
        if content.size != entry.size:
            raise _changed(entry)
        for data in _slices(content):
            buffer += data
            stream.flush()
        return
    if not isinstance(content, FileContent):
        if content is None or len(content) != entry.size:
            raise _changed(entry)
        buffer += content
        stream.flush()
        return
    left = entry.size
    fd = _open(entry, content)
    try:
        while left:
            data = os.read(fd, min(left, PIECE - len(buffer)))
            if not data:
                raise _changed(entry)
            left -= len(data)
            buffer += data
            if len(buffer) >= PIECE:
                stream.flush()
        if os.read(fd, 1):
            raise _changed(entry)
    finally:
        os.close(fd)


def _slices(content: FileSlice) -> Iterator[bytes]:
    """The bytes of a slice, in pieces."""
    with open(content.path, "rb") as f:
        f.seek(content.offset)
        left = content.size
        while left:
            data = f.read(min(left, PIECE))
            if not data:
                raise BuildError("corrupt-store", "a temporary file of the store was cut off", exit_status=1)
            left -= len(data)
            yield data


def _open(entry: Entry, content: FileContent) -> int:
    try:
        return os.open(content.path, _OPEN, dir_fd=content.dir_fd)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            raise _changed(entry) from error
        raise BuildError(
            "unreadable-file", f"cannot read {display(entry.path)}: {error.strerror}", exit_status=1
        ) from error


def _changed(entry: Entry) -> BuildError:
    return BuildError(
        "file-changed",
        f"{display(entry.path)} changed while its layer was written",
        hint="build again when nothing else writes to the files",
        exit_status=1,
    )


class _Order:
    """Holds entries to the order of a layer: names strictly increase, every folder comes before its files."""

    def __init__(self) -> None:
        self._last: bytes | None = None
        self._folders = {b""}
        self._folder = b""

    def check(self, entry: Entry, path: bytes) -> None:
        kind = entry.kind
        if kind is Kind.WHITEOUT or kind is Kind.OPAQUE:
            path = layer_name(entry)
        elif WHITEOUT_PREFIX in path and _reserved(path):
            raise BuildError(
                "reserved-name",
                f"{display(path)}: a name in an image cannot begin with .wh.",
                hint="layers use such names for files that were removed (image-spec)",
                exit_status=1,
            )
        last = self._last
        if last is not None and path <= last:
            raise ValueError(f"{path!r} does not come after {last!r}")
        self._last = path
        folder = path.rpartition(b"/")[0]
        if folder != self._folder:
            if folder not in self._folders:
                raise ValueError(f"{path!r} comes before the folder that holds it")
            self._folder = folder
        if kind is Kind.DIR:
            self._folders.add(path)


def _reserved(path: bytes) -> bool:
    return path.startswith(WHITEOUT_PREFIX) or b"/" + WHITEOUT_PREFIX in path


class _Stream:
    """The tar stream on its way: gathered in `buffer`, hashed and compressed by the piece."""

    def __init__(
        self,
        compression: Compression | None,
        sink: Sink | None,
        advance: Callable[[int], object] | None,
        threads: int | None,
    ) -> None:
        self.buffer = bytearray()
        self._sink = sink
        self._advance = advance
        self._raw = hashlib.sha256()
        self._size = 0
        self._packed = hashlib.sha256()
        self._packed_size = 0
        self._compressor = PieceCompressor(compression, self._deliver, threads) if compression else None

    def flush(self) -> None:
        """Pass on every whole piece of the buffer."""
        buffer = self.buffer
        while len(buffer) >= PIECE:
            with memoryview(buffer) as view:
                piece = view[:PIECE].tobytes()
            del buffer[:PIECE]
            self._pass_on(piece)

    def close(self) -> WrittenLayer:
        self.buffer += _END
        self.flush()
        if self.buffer:
            self._pass_on(bytes(self.buffer))
        diff_id = Digest("sha256:" + self._raw.hexdigest())
        if self._compressor is None:
            return WrittenLayer(diff_id, self._size, None, None)
        self._compressor.close()
        digest = Digest("sha256:" + self._packed.hexdigest())
        return WrittenLayer(diff_id, self._size, digest, self._packed_size)

    def abort(self) -> None:
        if self._compressor is not None:
            self._compressor.abort()

    def _pass_on(self, piece: bytes) -> None:
        if self._compressor is not None:
            self._compressor.feed(piece)
        elif self._sink is not None:
            self._sink(piece)
        self._raw.update(piece)
        self._size += len(piece)
        if self._advance is not None:
            self._advance(len(piece))

    def _deliver(self, packed: bytes) -> None:
        self._packed.update(packed)
        self._packed_size += len(packed)
        if self._sink is not None:
            self._sink(packed)
