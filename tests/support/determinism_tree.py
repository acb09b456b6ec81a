"""Trees of files as rows that can be compared: of a folder, of snapshots, and of what `find` prints."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from buildtool.layers.tree import Stack

_TYPES = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}

#: For `find`: NUL ends a row, a line break its fields, of which the last may hold anything.
FIND = r"%y\n%m\n%U\n%G\n%s\n%T@\n%l\n%P\0"


class Row(NamedTuple):
    """A file: `size` of regular files only, mtime in whole seconds, `first` the first of its names."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    first: bytes = b""
    content: str = ""


Rows = dict[bytes, Row]


def of_folder(root: Path) -> Rows:
    """The rows of everything below a folder, contents and hard links too."""
    found: Rows = {}
    first: dict[tuple[int, int], bytes] = {}
    for path in _paths(os.fsencode(root)):
        full = os.fsencode(root) + b"/" + path if path else os.fsencode(root)
        status = os.lstat(full)
        row = _row(status, os.readlink(full) if stat.S_ISLNK(status.st_mode) else b"")
        if stat.S_ISREG(status.st_mode):
            with open(full, "rb") as f:
                content = hashlib.file_digest(f, "sha256").hexdigest()
            name = first.setdefault((status.st_dev, status.st_ino), path)
            row = row._replace(content=content, first=name if status.st_nlink > 1 else b"")
        found[path] = row
    return found


def of_snapshots(topmost_first: Sequence[str]) -> Rows:
    """The rows of the tree that snapshots make, read by the product's own view of them."""
    found: Rows = {}
    first: dict[tuple[int, int], bytes] = {}
    with Stack(topmost_first) as stack:
        for path, node in sorted(stack.walk(), key=lambda step: step[0].split(b"/")):
            row = _row(node.stat, node.linkname if node.is_symlink else b"")
            if node.is_file:
                with os.fdopen(node.open(), "rb") as f:
                    content = hashlib.file_digest(f, "sha256").hexdigest()
                name = first.setdefault((node.stat.st_dev, node.stat.st_ino), path)
                row = row._replace(content=content, first=name if node.stat.st_nlink > 1 else b"")
            found[path] = row
    return found


def of_find(output: bytes) -> Rows:
    """The rows that `find -printf` with `FIND` gave."""
    found: Rows = {}
    for part in output.split(b"\0")[:-1]:
        kind, mode, uid, gid, size, mtime, target, path = part.split(b"\n", 7)
        is_file = kind == b"f"
        found[path] = Row(
            kind.decode(),
            int(mode, 8),
            int(uid),
            int(gid),
            int(size) if is_file else 0,
            int(mtime.split(b".")[0]),
            target,
        )
    return found


def without_contents(rows: Rows) -> Rows:
    """The rows as far as `find` sees them."""
    return {path: row._replace(first=b"", content="") for path, row in rows.items()}


def tree_difference(first: Rows, second: Rows) -> list[str]:
    """Lines on how two trees differ, none if they do not."""
    told: list[str] = []
    for path in sorted({*first, *second}):
        a, b = first.get(path), second.get(path)
        if a is None or b is None:
            told.append(f"{path!r}: only in the {'second' if a is None else 'first'}")
        elif a != b:
            fields = [n for n in Row._fields if getattr(a, n) != getattr(b, n)]
            told += [f"{path!r}: {n}: {getattr(a, n)!r} is {getattr(b, n)!r} in the second" for n in fields]
    return told


def _row(status: os.stat_result, target: bytes) -> Row:
    mode = status.st_mode
    return Row(
        _TYPES.get(stat.S_IFMT(mode), "?"),
        stat.S_IMODE(mode),
        status.st_uid,
        status.st_gid,
        status.st_size if stat.S_ISREG(mode) else 0,
        int(status.st_mtime),
        target,
    )


def _paths(root: bytes) -> Iterator[bytes]:
    """The root itself as b"", then every path below it; names in bytewise order."""
    yield b""
    found = []
    for folder, folders, files in os.walk(root):
        found += [os.path.relpath(folder + b"/" + name, root) for name in (*folders, *files)]
    yield from sorted(found, key=lambda path: path.split(b"/"))
