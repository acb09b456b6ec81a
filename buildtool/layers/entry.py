"""An entry of a layer: one file's metadata, where its bytes are, and the one way to make it.

A path is bytes, relative to the root, without a slash at either end; `b""` is the
root itself.
"""

import stat
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from buildtool.diag import BuildError

#: What begins the name of a whiteout (image-spec, "Whiteouts"), and the opaque marker in full.
WHITEOUT_PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"

#: The extended attributes that are part of an image; any other is of the machine or its file system.
KEPT_XATTRS = frozenset({b"security.capability"})

Xattrs: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"
    #: One more name of the file that `linkname` (a path as any other) names.
    HARDLINK = "hardlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"
    #: `path` of the layers below is gone.
    WHITEOUT = "whiteout"
    #: Nothing of the layers below is seen in the folder `path`.
    OPAQUE = "opaque"


class Entry(NamedTuple):
    """One entry: mode 0o7777, numeric owners, mtime in whole seconds since 1970, size in bytes."""

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    linkname: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: Xattrs = ()


class FileContent(NamedTuple):
    """Bytes that lie in a file: its path (relative to `dir_fd` if given) and its size.

    A `dir_fd` belongs to whoever made this value, who keeps it open as long as the value is used.
    """

    path: bytes | str
    dir_fd: int | None
    size: int


class FileSlice(NamedTuple):
    """Bytes that lie in a part of a file of our own, which does not change: path, offset and size."""

    path: str
    offset: int
    size: int


#: The bytes of a file; None for every other kind.
Content: TypeAlias = None | bytes | FileContent | FileSlice

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIR,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


def normalise(
    path: bytes,
    st_mode: int,
    uid: int,
    gid: int,
    mtime: int,
    *,
    size: int = 0,
    linkname: bytes = b"",
    rdev: int = 0,
    xattrs: Xattrs = (),
) -> Entry:
    """The entry of a file with this metadata.  Every normalisation of a layer's metadata is here:

    - the kind is that of `st_mode`, the mode its twelve permission bits;
    - a symbolic link has mode 0777, whatever the file system says;
    - mtime is in whole seconds and never before 1970;
    - only a regular file has a size, only a symbolic link a target, only a device a number;
    - of the extended attributes those in KEPT_XATTRS stay, sorted by name;
    - times of access and change, names of owners, inode numbers and flags do not exist.

    A hard link has no metadata of its own: see `hardlink`; a whiteout has none: see `whiteout`.
    BuildError `unsupported-file` for what a layer cannot hold (a socket).
    """
    if mtime < 0:
        mtime = 0
    if xattrs:
        xattrs = tuple(sorted(x for x in xattrs if x[0] in KEPT_XATTRS))
    kind = _KINDS.get(stat.S_IFMT(st_mode))
    mode = st_mode & 0o7777
    if kind is Kind.FILE:
        return Entry(path, kind, mode, uid, gid, mtime, size, b"", 0, 0, xattrs)
    if kind is Kind.DIR:
        return Entry(path, kind, mode, uid, gid, mtime, 0, b"", 0, 0, xattrs)
    if kind is Kind.SYMLINK:
        return Entry(path, kind, 0o777, uid, gid, mtime, 0, linkname)
    if kind is Kind.CHAR or kind is Kind.BLOCK:
        import os

        return Entry(path, kind, mode, uid, gid, mtime, 0, b"", os.major(rdev), os.minor(rdev), xattrs)
    if kind is Kind.FIFO:
        return Entry(path, kind, mode, uid, gid, mtime, 0, b"", 0, 0, xattrs)
    raise BuildError("unsupported-file", f"{display(path)} is neither file, folder, link, device nor pipe")


def hardlink(entry: Entry, path: bytes) -> Entry:
    """One more name, `path`, of the file that `entry` is; it repeats the file's metadata, not its size."""
    return entry._replace(
        path=path, kind=Kind.HARDLINK, size=0, linkname=entry.path, major=0, minor=0, xattrs=()
    )


def whiteout(path: bytes) -> Entry:
    """The removal of `path`; a whiteout has no owner, mode or time."""
    return Entry(path, Kind.WHITEOUT, 0, 0, 0, 0)


def layer_name(entry: Entry) -> bytes:
    """The name of an entry in the archive, by which entries are ordered; no slash at the end."""
    if entry.kind is Kind.WHITEOUT:
        parent, slash, name = entry.path.rpartition(b"/")
        return parent + slash + WHITEOUT_PREFIX + name
    if entry.kind is Kind.OPAQUE:
        return entry.path + b"/" + OPAQUE_MARKER if entry.path else OPAQUE_MARKER
    return entry.path


def parent_of(path: bytes) -> bytes:
    """The folder that holds `path`; the root's is the root."""
    return path.rpartition(b"/")[0]


def display(path: bytes) -> str:
    """A path as people read it: absolute, bytes that are not UTF-8 shown as escapes."""
    return "/" + path.decode("utf-8", "backslashreplace")
