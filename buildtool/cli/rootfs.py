"""The root filesystem of a result as files: `type=local` into a folder, `type=tar` into an archive.

With several platforms each has a folder of its own (`linux_arm64`), as in buildx.
Files in a folder belong to whoever builds, as in buildx; in an archive they keep
their owners.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Platform
from buildtool.layers.descriptor import FOLDER, remove, status_of
from buildtool.layers.entry import Content, Entry, FileSlice, Kind
from buildtool.layers.plain import entries_in
from buildtool.store import Blobs

_CHUNK = 1 << 20


class Rooted(Protocol):
    """An image whose root filesystem is a plain tar archive among the blobs."""

    @property
    def platform(self) -> Platform: ...
    @property
    def root(self) -> Digest | None: ...


@dataclass(frozen=True, slots=True)
class Root:
    """A root filesystem for a platform, as an archive among the blobs."""

    platform: Platform
    root: Digest


def write_tar(sink: BinaryIO, images: Sequence[Rooted], blobs: Blobs) -> None:
    """Write the root filesystems as one archive; the same bytes for the same images."""
    if len(images) == 1:
        assert images[0].root is not None
        with blobs.open(images[0].root) as blob:
            shutil.copyfileobj(blob, sink, _CHUNK)
        return
    from buildtool.layers.tar import write_layer

    write_layer(_below_platforms(images, blobs), sink=sink.write)


def _below_platforms(images: Sequence[Rooted], blobs: Blobs) -> Iterator[tuple[Entry, Content]]:
    for image in sorted(images, key=folder_of):
        top = folder_of(image).encode()
        yield Entry(top, Kind.DIR, 0o755, 0, 0, 0), None
        for entry, content in _entries(image, blobs):
            link = top + b"/" + entry.linkname if entry.kind is Kind.HARDLINK else entry.linkname
            yield entry._replace(path=top + b"/" + entry.path, linkname=link), content


def write_folder(folder: str, images: Sequence[Rooted], blobs: Blobs) -> list[bytes]:
    """Put the root filesystems into a folder, beside what is there; the devices that could not be made.

    A file or a link makes way for what has its name.  No link of the folder or of
    the image is followed.  BuildError `output-failed`.
    """
    from buildtool.oci.export import output_failed

    skipped: list[bytes] = []
    try:
        for image in images:
            place = folder if len(images) == 1 else os.path.join(folder, folder_of(image))
            os.makedirs(place, exist_ok=True)
            fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                skipped += _Folder(fd).fill(_entries(image, blobs))
            finally:
                os.close(fd)
    except OSError as e:
        raise output_failed(folder, e) from e
    return skipped


def folder_of(image: Rooted) -> str:
    """The name of a platform's folder."""
    return str(image.platform).replace("/", "_")


def _entries(image: Rooted, blobs: Blobs) -> Iterator[tuple[Entry, Content]]:
    assert image.root is not None
    with blobs.open(image.root) as blob:
        while blob.read(_CHUNK):
            pass  # verified, before its bytes are read by path
    return entries_in(blobs.path(image.root))


class _Folder:
    """A folder that is filled by descriptors alone."""

    def __init__(self, fd: int) -> None:
        self._top = fd
        self._folders: list[Entry] = []

    def fill(self, entries: Iterator[tuple[Entry, Content]]) -> list[bytes]:
        skipped: list[bytes] = []
        for entry, content in entries:
            parent, _, name = entry.path.rpartition(b"/")
            fd = self._open(parent)
            try:
                if entry.kind is Kind.DIR:
                    self._make_folder(name, fd)
                    self._folders.append(entry)
                elif not self._make(entry, content, name, fd):
                    skipped.append(entry.path)
            finally:
                os.close(fd)
        for folder in reversed(self._folders):
            # Last, because what is put into a folder changes its time, and it may not be writable.
            fd = self._open(folder.path)
            try:
                os.fchmod(fd, folder.mode)
                os.utime(fd, (folder.mtime, folder.mtime))
            finally:
                os.close(fd)
        return skipped

    def _open(self, path: bytes) -> int:
        fd = os.dup(self._top)
        for part in filter(None, path.split(b"/")):
            try:
                below = os.open(part, FOLDER | os.O_CLOEXEC, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
        return fd

    @staticmethod
    def _make_folder(name: bytes, fd: int) -> None:
        there = status_of(name, fd)
        if there is not None and not stat.S_ISDIR(there.st_mode):
            os.unlink(name, dir_fd=fd)
            there = None
        if there is None:
            os.mkdir(name, 0o700, dir_fd=fd)

    def _make(self, entry: Entry, content: Content, name: bytes, fd: int) -> bool:
        if status_of(name, fd) is not None:
            remove(name, fd)
        if entry.kind is Kind.FILE:
            _write(entry, content, name, fd)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=fd)
            os.utime(name, (entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)
        elif entry.kind is Kind.HARDLINK:
            parent, _, first = entry.linkname.rpartition(b"/")
            other = self._open(parent)
            try:
                os.link(first, name, src_dir_fd=other, dst_dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(other)
        elif entry.kind is Kind.FIFO:
            os.mkfifo(name, entry.mode, dir_fd=fd)
        else:
            return _make_device(entry, name, fd)
        return True


def _write(entry: Entry, content: Content, name: bytes, fd: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    out = os.open(name, flags, 0o600, dir_fd=fd)
    try:
        if isinstance(content, FileSlice):
            with open(content.path, "rb") as source:
                offset, left = content.offset, content.size
                while left:
                    sent = os.sendfile(out, source.fileno(), offset, min(left, 1 << 30))
                    if not sent:
                        raise BuildError("output-failed", "the archive of the root is cut off", exit_status=1)
                    offset, left = offset + sent, left - sent
        os.fchmod(out, entry.mode)
        os.utime(out, (entry.mtime, entry.mtime))
    finally:
        os.close(out)


def _make_device(entry: Entry, name: bytes, fd: int) -> bool:
    kind = stat.S_IFCHR if entry.kind is Kind.CHAR else stat.S_IFBLK
    try:
        os.mknod(name, kind | entry.mode, os.makedev(entry.major, entry.minor), dir_fd=fd)
    except PermissionError:
        return False
    return True
