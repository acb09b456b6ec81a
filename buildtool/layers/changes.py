"""What a step changed: the layer that the upper folder of an overlay is."""

import errno
import os
import stat
from collections.abc import Iterator

from buildtool.diag import BuildError
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Content, Entry, FileContent, Xattrs, normalise
from buildtool.layers.tree import Stack, XattrPrefix, is_whiteout, read_xattrs, unsupported_overlay


def changes(
    upper: str, lower: Stack, xattr_prefix: XattrPrefix = "trusted"
) -> Iterator[tuple[Entry, Content]]:
    """The layer that `upper` (finished, at rest) is over `lower`, ready for `write_layer`.

    Whiteouts and opaque folders become explicit whiteouts of what is missing;
    hard links point at the first name; sockets, which no archive holds, are left
    out.  Contents are read from `upper` when the layer is written.  BuildError
    `unsupported-overlay` if the overlay was mounted with redirects or metacopy.
    """
    draft = LayerDraft(lower)
    root = os.fsencode(os.path.abspath(upper))
    try:
        _scan(root, draft, f"{xattr_prefix}.overlay.")
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise BuildError(
            "path-too-long", "the step made a path longer than 4,000 bytes", exit_status=1
        ) from error
    return draft.entries()


def _scan(root: bytes, draft: LayerDraft, overlay: str) -> None:
    """Put everything in the folder into the draft."""
    pending: list[tuple[bytes, os.stat_result]] = [(b"", os.lstat(root))]
    metacopy = overlay + "metacopy"
    while pending:
        folder, status = pending.pop()
        full = root + b"/" + folder if folder else root
        draft.add(_entry(folder, full, status))
        if _opaque(full, overlay):
            draft.hide_below(folder)
        prefix = folder + b"/" if folder else b""
        with os.scandir(full) as entries:
            for found in entries:
                path = prefix + found.name
                status = found.stat(follow_symlinks=False)
                mode = status.st_mode
                if stat.S_ISDIR(mode):
                    pending.append((path, status))
                elif stat.S_ISSOCK(mode) or is_whiteout(status):
                    draft.remove(path)
                elif stat.S_ISREG(mode):
                    xattrs = read_xattrs(found.path, refuse=metacopy)
                    content = FileContent(found.path, None, status.st_size)
                    draft.add(_entry(path, found.path, status, xattrs), content, inode=_inode(status))
                else:
                    draft.add(_entry(path, found.path, status), inode=_inode(status))


def _inode(status: os.stat_result) -> tuple[int, int] | None:
    return (status.st_dev, status.st_ino) if status.st_nlink > 1 else None


def _opaque(full: bytes, overlay: str) -> bool:
    try:
        names = os.listxattr(full, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return False
        raise
    if overlay + "redirect" in names:
        raise unsupported_overlay(full)
    name = overlay + "opaque"
    return name in names and os.getxattr(full, name, follow_symlinks=False) == b"y"


def _entry(path: bytes, full: bytes, status: os.stat_result, xattrs: Xattrs = ()) -> Entry:
    mode = status.st_mode
    return normalise(
        path,
        mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns // 1_000_000_000,
        size=status.st_size,
        linkname=os.readlink(full) if stat.S_ISLNK(mode) else b"",
        rdev=status.st_rdev,
        xattrs=xattrs,
    )
