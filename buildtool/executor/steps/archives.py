"""Archives unpacked into a layer: ADD of a tar, and anything else that comes as entries of one.

Names and link targets are resolved inside the destination, as if it were the
root: `..` and absolute names stay in there.  The bytes of files go to one spool
file, from which the layer is written, so that memory stays bounded.
"""

import os
from collections.abc import Iterable
from typing import BinaryIO

from buildtool.diag import BuildError
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.trees import Item
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import KEPT_XATTRS, Content, Entry, FileContent, FileSlice, Kind
from buildtool.layers.tree import resolve_links

_CHUNK = 1 << 20


class Spool:
    """A file that holds the bytes of many; remove it by `close` when the layer is written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open(path, "xb")  # noqa: SIM115
        self._size = 0

    def take(self, stream: BinaryIO, size: int) -> Content:
        """Copy `size` bytes of a stream, and say where they are now."""
        if size == 0:
            return b""
        start, left = self._size, size
        while left:
            data = stream.read(min(left, _CHUNK))
            if not data:
                raise BuildError("corrupt-archive", "the archive ends in the middle of a file", exit_status=1)
            self._file.write(data)
            left -= len(data)
        self._size += size
        return FileSlice(self._path, start, size)

    def flush(self) -> None:
        """Let readers see what was taken."""
        self._file.flush()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        os.unlink(self._path)


def add_archive(
    item: Item, draft: LayerDraft, dest: bytes, owner: tuple[int, int] | None, epoch: int, spool: Spool
) -> bool:
    """Unpack a file at the folder `dest` if it is a tar archive with entries; False if it is not."""
    from buildtool.layers.tarread import read_tar

    if item.kind is not Kind.FILE or item.size == 0 or not isinstance(item.content, FileContent):
        return False
    with open(readable_path(item.content), "rb") as f:
        if not is_archive(f):
            return False
        f.seek(0)
        uid, gid = owner or (0, 0)
        root = make_folders(draft, dest, uid, gid, 0o755, epoch)
        apply_entries(
            read_tar(f, inside=True), draft, root, spool, owner=owner, through_links=False, epoch=epoch
        )
    return True


def readable_path(content: FileContent) -> str:
    """A path by which this process can open the file."""
    path = os.fsdecode(content.path)
    return path if content.dir_fd is None else f"/proc/self/fd/{content.dir_fd}/{path}"


def is_archive(stream: BinaryIO) -> bool:
    """Whether the bytes, packed or not, are a tar archive that has an entry."""
    from buildtool.layers.tarread import read_tar

    try:
        return next(iter(read_tar(stream, inside=True)), None) is not None
    except BuildError:
        return False


def apply_entries(
    entries: Iterable[tuple[Entry, BinaryIO | None]],
    draft: LayerDraft,
    root: bytes,
    spool: Spool,
    *,
    owner: tuple[int, int] | None,
    through_links: bool,
    epoch: int,
) -> None:
    """Put the entries of an archive below the folder `root`.

    What is there makes way, except a folder for a folder, and with
    `through_links` a link to a folder, through which a folder is then reached.
    """

    def link(path: bytes) -> bytes | None:
        there = draft.lookup(_join(root, path))
        return there.linkname if there is not None and there.kind is Kind.SYMLINK else None

    def inside(path: bytes, *, last: bool) -> bytes:
        return _join(root, resolve_links(link, path, follow_last=last))

    for entry, stream in entries:
        path = inside(entry.path, last=False)
        if path == root:
            continue
        there = draft.lookup(path)
        if through_links and entry.kind is Kind.DIR and there is not None and there.kind is Kind.SYMLINK:
            target = inside(entry.path, last=True)
            known = draft.lookup(target)
            if known is not None and known.kind is Kind.DIR:
                continue
        if owner is not None:
            entry = entry._replace(uid=owner[0], gid=owner[1])
        if entry.xattrs:
            entry = entry._replace(xattrs=tuple(x for x in entry.xattrs if x[0] in KEPT_XATTRS))
        draft.add_parents(path, mtime=epoch)
        if there is not None and entry.kind is not Kind.DIR and there.kind is Kind.DIR:
            draft.remove(path)
        if entry.kind is Kind.HARDLINK:
            draft.add(entry._replace(path=path, linkname=inside(entry.linkname, last=False)))
            continue
        content = spool.take(stream, entry.size) if stream is not None else None
        draft.add(entry._replace(path=path), content)
    spool.flush()


def _join(root: bytes, path: bytes) -> bytes:
    return root + b"/" + path if root and path else root or path
