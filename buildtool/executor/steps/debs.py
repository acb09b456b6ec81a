"""Takes Debian packages apart (deb(5)): an ar archive with two tar archives, read as a stream.

Nothing of a package is run, and nothing is believed: members have to stand in
the order of the format, and every size is bounded.
"""

import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from buildtool.diag import BuildError
from buildtool.executor.steps.archives import Spool, apply_entries, readable_path
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.trees import SourceTree
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, FileContent, Kind, display

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC = b"!<arch>\n"
_HEADER = 60
_HEADER_END = b"`\n"
_LARGEST_CONTROL = 64 << 20
_LARGEST_DATA = 16 << 30
_XZ_MEMORY = 256 << 20
_ZSTD_WINDOW = 128 << 20
_CHUNK = 1 << 17


#: Where distroless images keep what is known of each package: a file of its own, as `dpkg` has one for all.
STATUS_FOLDER = b"var/lib/dpkg/status.d"


def unpack_debs(
    source: SourceTree, draft: LayerDraft, spool: Spool, epoch: int, *, status: bool = False
) -> None:
    """Unpack the data of every `.deb` file of a source at the root, in the bytewise order of their paths.

    Later packages overwrite; a folder of a package over a link to a folder is
    reached through the link (a merged /usr).  Owners, modes and times are the
    package's.  With `status`, the control file and the checksums of each go to
    `STATUS_FOLDER`.  BuildError `no-debs` for a source without any.
    """
    found = sorted(_debs(source))
    if not found:
        raise BuildError("no-debs", "there is no Debian package in what is to be unpacked", exit_status=1)
    for path in found:
        item = source.lookup(path)
        if item is None or not isinstance(item.content, FileContent):
            raise BuildError("bad-deb", f"{display(path)} is not a file of its own", exit_status=1)
        try:
            place = readable_path(item.content)
            apply_entries(data_entries(place), draft, b"", spool, owner=None, through_links=True, epoch=epoch)
            if status:
                _describe(control_files(place), draft, epoch)
        except BuildError as e:
            if e.code == "bad-deb":
                raise BuildError("bad-deb", f"{display(path)}: {e.message}", exit_status=1) from e
            raise


def _debs(source: SourceTree) -> Iterator[bytes]:
    todo = [b""]
    while todo:
        folder = todo.pop()
        for name in source.names(folder):
            path = folder + b"/" + name if folder else name
            item = source.lookup(path)
            if item is not None and item.kind is Kind.DIR:
                todo.append(path)
            elif item is not None and item.kind is Kind.FILE and name.endswith(b".deb"):
                yield path


def data_entries(deb_path: str) -> Iterator[tuple[Entry, BinaryIO | None]]:
    """The files of a package in the order of its data archive, with their content.

    BuildError `bad-deb`, or what `layers.tarread` has against the archive.
    """
    from buildtool.layers.tarread import read_tar

    with open(deb_path, "rb") as deb:
        yield from read_tar(deb_members(deb)[1])


def control_files(deb_path: str) -> dict[bytes, bytes]:
    """The files of a package's control archive by name; BuildError `bad-deb`."""
    from buildtool.layers.tarread import read_tar

    with open(deb_path, "rb") as deb:
        return {e.path: f.read() for e, f in read_tar(deb_members(deb)[0]) if f is not None}


def _describe(control: dict[bytes, bytes], draft: LayerDraft, epoch: int) -> None:
    text = control.get(b"control", b"")
    name = re.search(rb"^Package: *([a-z0-9][a-z0-9+.-]+) *$", text, re.M)
    if name is None:
        raise _bad("its control file does not say what package it is")
    folder = make_folders(draft, STATUS_FOLDER, 0, 0, 0o755, epoch)
    described = [(name[1], text.strip() + b"\n"), (name[1] + b".md5sums", control.get(b"md5sums", b""))]
    for path, data in described:
        draft.add(Entry(folder + b"/" + path, Kind.FILE, 0o644, 0, 0, epoch, len(data)), data)


def deb_members(stream: BinaryIO) -> tuple[BinaryIO, BinaryIO]:
    """The control and the data tar archive of a package, both unpacked while they are read.

    The stream needs no seeking and has to stay open while the data is read.
    BuildError `bad-deb`, from this call or from a read.
    """
    if _exactly(stream, len(_MAGIC)) != _MAGIC:
        raise _bad("it is not an ar archive")
    name, size = _member(stream)
    if name != "debian-binary" or size > 64 or not _exactly(stream, size).startswith(b"2."):
        raise _bad("it does not begin with version 2 of the format")
    _pad(stream, size)
    name, size = _wanted(stream, "control.tar")
    if size > _LARGEST_CONTROL:
        raise _bad("its control archive is too large")
    control = _unpacked(io.BytesIO(_exactly(stream, size)), name, _LARGEST_CONTROL)
    _pad(stream, size)
    name, size = _wanted(stream, "data.tar")
    window = cast(BinaryIO, io.BufferedReader(_Window(stream, size), _CHUNK))
    return control, _unpacked(window, name, _LARGEST_DATA)


def _wanted(stream: BinaryIO, stem: str) -> tuple[str, int]:
    """The next member, which has to be `stem`; members whose name begins with `_` are passed over."""
    while True:
        name, size = _member(stream)
        if name.startswith("_"):
            skipped = _Window(stream, size)
            while skipped.read(_CHUNK):
                pass
            _pad(stream, size)
        elif name == stem or name.startswith(stem + "."):
            return name, size
        else:
            raise _bad(f"{name!r} stands where {stem} has to be")


def _member(stream: BinaryIO) -> tuple[str, int]:
    header = _exactly(stream, _HEADER)
    size = header[48:58].rstrip(b" ")
    if header[58:] != _HEADER_END or not size.isdigit():
        raise _bad("the header of a member is damaged")
    return header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "replace"), int(size)


def _pad(stream: BinaryIO, size: int) -> None:
    if size % 2:
        _exactly(stream, 1)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise _bad("it is cut off")
        data += more
    return data


class _Window(io.RawIOBase):
    """The next `size` bytes of a stream, all of which have to be there."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._stream.read(min(len(view), self._left))
        if not data and self._left and len(view):
            raise _bad("it is cut off")
        self._left -= len(data)
        view[: len(data)] = data
        return len(data)


class _Bounded(io.RawIOBase):
    """What `read` gives, of at most `limit` bytes; a fault of the decompressor becomes a BuildError."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read = read
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._read(len(view))
        except BuildError:
            raise
        except Exception as e:
            raise _bad(f"it cannot be unpacked: {e}") from e
        self._left -= len(data)
        if self._left < 0:
            raise _bad("it unpacks to more than is allowed")
        view[: len(data)] = data
        return len(data)


class _Xz:
    """One xz stream with bounded memory, as dpkg reads it: what follows the stream is left alone."""

    def __init__(self, packed: BinaryIO) -> None:
        import lzma

        self._packed = packed
        self._xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        while not self._xz.eof:
            more = self._packed.read(_CHUNK) if self._xz.needs_input else b""
            if self._xz.needs_input and not more:
                raise _bad("it is cut off")
            data = self._xz.decompress(more, size)
            if data:
                return data
        return b""


def _unpacked(packed: BinaryIO, name: str, limit: int) -> BinaryIO:
    suffix = name.partition(".tar")[2]
    read: Callable[[int], bytes]
    if suffix == "":
        read = packed.read
    elif suffix == ".xz":
        read = _Xz(packed).read
    elif suffix == ".gz":
        import gzip

        read = gzip.GzipFile(fileobj=packed, mode="rb").read
    elif suffix == ".zst":
        import zstandard

        zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        read = zstd.stream_reader(packed, read_across_frames=True).read
    else:
        raise _bad(f"nothing here unpacks {name!r}")
    return cast(BinaryIO, io.BufferedReader(_Bounded(read, limit), _CHUNK))


def _bad(why: str) -> BuildError:
    return BuildError("bad-deb", f"a Debian package cannot be read: {why}", exit_status=1)
