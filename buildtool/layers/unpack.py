"""Unpacking a layer into a snapshot: a folder in the form of overlayfs' upper layer.

The layer comes from a stranger.  Every folder on the way to a name is opened by
descriptor without following links, so that neither a symbolic link in the layer
nor one put there meanwhile leads out of the target.  A parent that is a symbolic
link *of this layer* is followed inside the target, as other appliers do; a link
of a lower layer is replaced by a folder.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import BinaryIO

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.layers.decompress import decompressed, read_ahead
from buildtool.layers.descriptor import status_of
from buildtool.layers.entry import (
    KEPT_XATTRS,
    OPAQUE_MARKER,
    WHITEOUT_PREFIX,
    Entry,
    Kind,
    display,
)
from buildtool.layers.target import Target
from buildtool.layers.tarread import read_chunks
from buildtool.layers.tree import Stack, XattrPrefix, is_whiteout

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_PIECE = 1 << 20
_AUFS_PREFIX = b".wh..wh."
_WHITEOUT_DEVICE = 0


def unpack(
    stream: BinaryIO,
    target: str,
    *,
    lowers: Sequence[str],
    xattr_prefix: XattrPrefix = "trusted",
    expect: Digest,
    advance: Callable[[int], object] | None = None,
) -> None:
    """Unpack one layer, compressed or not, into the empty folder `target`, over the snapshots `lowers`.

    `lowers` are topmost first.  Folders that the layer uses without describing
    them get the metadata of the lower ones (0755, 0:0, time 0 where there are
    none), the target itself that of the lower root.  `advance` gets bytes of the
    tar stream.  BuildError: `corrupt-layer` if the content has not the digest
    `expect`, `bad-archive`, `unsafe-archive`, `unpack-failed`.  After an error the
    target holds part of the layer and is to be thrown away.
    """
    digest = hashlib.sha256()
    try:
        with (
            closing(read_ahead(decompressed(stream))) as ahead,
            Stack(lowers, xattr_prefix) as lower,
            closing(Target(target, lower, xattr_prefix)) as filled,
        ):
            unpacker = _Unpacker(filled)
            chunks = _observed(ahead, digest.update, advance)
            for entry, content in read_chunks(chunks):
                unpacker.put(entry, content)
            for _ in chunks:
                pass  # what follows the end of the archive counts for the digest
            filled.finish()
    except OSError as error:
        raise _failed(error) from error
    if "sha256:" + digest.hexdigest() != expect:
        raise BuildError(
            "corrupt-layer",
            f"a layer's content has the digest sha256:{digest.hexdigest()}, its image says {expect}",
            exit_status=1,
        )


def _observed(
    chunks: Iterable[bytes], update: Callable[[bytes], object], advance: Callable[[int], object] | None
) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        if advance is not None:
            advance(len(chunk))
        yield chunk


def _failed(error: OSError) -> BuildError:
    where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
    return BuildError("unpack-failed", f"cannot unpack a layer: {error.strerror}{where}", exit_status=1)


def _give(entry: Entry, file: int | bytes, dir_fd: int | None = None) -> None:
    """Set the owner of an open file, or of a name in a folder."""
    try:
        if isinstance(file, int):
            os.fchown(file, entry.uid, entry.gid)
        else:
            os.chown(file, entry.uid, entry.gid, dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise BuildError(
            "unmapped-owner",
            f"{display(entry.path)} belongs to {entry.uid}:{entry.gid}, numbers that this user may not give",
            hint="give the user a longer range in /etc/subuid and /etc/subgid, or run as root",
            exit_status=1,
        ) from error


class _Unpacker:
    """Puts the entries of an archive into a target."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def put(self, entry: Entry, content: BinaryIO | None) -> None:
        """Put one entry of the archive where it belongs, whiteouts as overlayfs has them."""
        self._target.begin_entry()
        self._put(entry, content)

    def _put(self, entry: Entry, content: BinaryIO | None) -> None:
        path = self._target.inside(entry.path)
        parent_path, _, name = path.rpartition(b"/")
        if name.startswith(WHITEOUT_PREFIX):
            if name == OPAQUE_MARKER:
                self._target.hide(parent_path)
            elif not name.startswith(_AUFS_PREFIX):
                self._white_out(parent_path, name[len(WHITEOUT_PREFIX) :])
            return
        if entry.kind is Kind.DIR:
            self._put_folder(entry, path)
            return
        if not path:
            raise BuildError("unsafe-archive", "the layer puts a file in the place of its root")
        if entry.kind is Kind.CHAR and entry.major == 0 and entry.minor == 0:
            # To overlayfs this device is a whiteout, whoever made it.
            self._white_out(parent_path, name)
            return
        parent = self._target.folder(parent_path)
        if entry.kind is Kind.FILE:
            assert content is not None
            self._put_file(entry, content, parent, name, path)
            return
        if entry.kind is Kind.HARDLINK and self._target.inside(entry.linkname) == path:
            return
        self._target.make_room(parent, name, path)
        if entry.kind is Kind.HARDLINK:
            self._put_link(entry, parent, name)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.linkname, name, dir_fd=parent)
            _give(entry, name, parent)
            os.utime(name, (entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)
        else:
            self._put_special(entry, parent, name)

    def _put_folder(self, entry: Entry, path: bytes) -> None:
        parent_path, _, name = path.rpartition(b"/")
        if path:
            parent = self._target.folder(parent_path)
            there = status_of(name, parent)
            if there is None or not stat.S_ISDIR(there.st_mode):
                if there is not None:
                    os.unlink(name, dir_fd=parent)
                self._target.make_folder(parent, name, path, hides=there is not None and is_whiteout(there))
        fd = self._target.folder(path)
        self._own(fd, entry)
        self._target.times[path] = entry.mtime

    def _put_file(self, entry: Entry, content: BinaryIO, parent: int, name: bytes, path: bytes) -> None:
        try:
            fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        except FileExistsError:
            self._target.make_room(parent, name, path)
            fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            while data := content.read(_PIECE):
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
            self._own(fd, entry)
            os.utime(fd, (entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _put_link(self, entry: Entry, parent: int, name: bytes) -> None:
        """Link to an earlier file of the layer, or to one of the lower tree, which is copied up first."""
        source = self._target.inside(entry.linkname)
        source_parent, _, source_name = source.rpartition(b"/")
        if not source_name:
            raise BuildError("unsafe-archive", f"{display(entry.path)} is a hard link to a folder")
        source_fd = self._target.folder(source_parent)
        there = status_of(source_name, source_fd)
        if there is None:
            self._copy_up(source, entry)
            source_fd = self._target.folder(source_parent)
        elif stat.S_ISDIR(there.st_mode) or is_whiteout(there):
            raise BuildError("unsafe-archive", f"{display(entry.path)} is a hard link to no file")
        os.link(source_name, name, src_dir_fd=source_fd, dst_dir_fd=parent, follow_symlinks=False)

    def _copy_up(self, path: bytes, link: Entry) -> None:
        node = self._target.lower_node(path)
        if node is None or node.is_dir:
            raise BuildError(
                "unsafe-archive", f"{display(link.path)} is a hard link to {display(path)}: no such file"
            )
        if node.is_file:
            with os.fdopen(node.open(), "rb") as content:
                self._put(node.entry(), content)
        else:
            self._put(node.entry(), None)

    def _put_special(self, entry: Entry, parent: int, name: bytes) -> None:
        kinds = {Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}
        device = os.makedev(entry.major, entry.minor)
        try:
            os.mknod(name, kinds[entry.kind] | 0o600, device, dir_fd=parent)
        except PermissionError as error:
            raise BuildError(
                "device-node",
                f"the layer has a device node, {display(entry.path)}, which only root can make",
                hint="run buildtool as root to use this image",
                exit_status=1,
            ) from error
        # By way of a descriptor: chmod of a name would follow a link.
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=parent)
        try:
            _give(entry, name, parent)
            os.chmod(f"/proc/self/fd/{fd}", entry.mode)
        finally:
            os.close(fd)
        os.utime(name, (entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _own(self, fd: int, entry: Entry) -> None:
        _give(entry, fd)
        # After the owner: a change of owner clears the set-user-id bit and capabilities.
        os.fchmod(fd, entry.mode)
        for name, value in entry.xattrs:
            if name in KEPT_XATTRS:
                os.setxattr(fd, name, value)

    def _white_out(self, parent_path: bytes, name: bytes) -> None:
        """Hide what the lower tree has at a path; files of this layer stay (image-spec, "Whiteouts")."""
        if name in (b"", b".", b".."):
            raise BuildError("unsafe-archive", "the layer has a whiteout of no name")
        path = parent_path + b"/" + name if parent_path else name
        if self._target.lower_node(path) is None:
            return
        parent = self._target.folder(parent_path)
        there = status_of(name, parent)
        if there is None:
            os.mknod(name, stat.S_IFCHR, _WHITEOUT_DEVICE, dir_fd=parent)
        elif stat.S_ISDIR(there.st_mode):
            self._target.hide(path)
