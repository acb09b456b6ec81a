"""A read-only view of the tree that a stack of snapshots is, with overlayfs' rules.

A snapshot is a folder as overlayfs takes it: a character device 0:0 hides the
name below, a folder whose `<prefix>.overlay.opaque` is `y` hides what lies below
it.  Snapshots do not change while a stack is open.  A path reaches a file only
through folders that were each seen to be a folder of that very snapshot, so no
symbolic link is ever followed by the kernel: `resolve` follows them, inside.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Literal, NamedTuple

from buildtool.diag import BuildError
from buildtool.layers.entry import (
    KEPT_XATTRS,
    Content,
    Entry,
    FileContent,
    Xattrs,
    display,
    normalise,
)

XattrPrefix = Literal["trusted", "user"]

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_LINKS = 40  # Linux's own bound for the links of one path
_KEPT = tuple(sorted((name.decode(), name) for name in KEPT_XATTRS))


class Node(NamedTuple):
    """A file of a stack: its path, what `lstat` says about it, and the snapshot that it lies in."""

    path: bytes
    stat: os.stat_result
    at: bytes
    dir_fd: int

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)

    @property
    def mtime(self) -> int:
        """Whole seconds."""
        return self.stat.st_mtime_ns // 1_000_000_000

    @property
    def inode(self) -> tuple[int, int]:
        """What two names of one file have in common."""
        return self.stat.st_dev, self.stat.st_ino

    @property
    def linkname(self) -> bytes:
        """The target of a symbolic link."""
        return os.readlink(self.path, dir_fd=self.dir_fd)

    @property
    def xattrs(self) -> Xattrs:
        """The extended attributes that are part of an image."""
        return read_xattrs(self.at + self.path)

    def entry(self, path: bytes | None = None) -> Entry:
        """The entry that this file is in a layer, under another path if one is given."""
        st = self.stat
        mode = st.st_mode
        return normalise(
            self.path if path is None else path,
            mode,
            st.st_uid,
            st.st_gid,
            st.st_mtime_ns // 1_000_000_000,
            size=st.st_size,
            linkname=self.linkname if stat.S_ISLNK(mode) else b"",
            rdev=st.st_rdev,
            xattrs=self.xattrs if stat.S_ISREG(mode) else (),
        )

    def content(self) -> Content:
        """Where the bytes of a regular file are (as long as the stack is open); None for other kinds."""
        return FileContent(self.path, self.dir_fd, self.stat.st_size) if self.is_file else None

    def open(self) -> int:
        """A descriptor of a regular file, for reading; the caller closes it."""
        return os.open(self.path, _FILE, dir_fd=self.dir_fd)


# A method of Stack is called `list`.
_Names = list[bytes]
_Steps = list[tuple[bytes, Node]]


class Stack:
    """The merged tree of snapshot folders, topmost first; none at all is an empty root (0755, 0:0).

    Close it, or use it as a context manager.  Safe for several threads.
    """

    def __init__(self, lowers: Sequence[str], xattr_prefix: XattrPrefix = "trusted") -> None:
        self._opaque = f"{xattr_prefix}.overlay.opaque"
        self.is_empty = not lowers
        self._fds: list[int] = []
        try:
            for lower in lowers:
                self._fds.append(os.open(lower, _FOLDER))
        except OSError:
            self.close()
            raise
        # scandir and the xattr calls take no dir_fd; this spelling is the descriptor's own folder.
        self._at = [b"/proc/self/fd/%d/" % fd for fd in self._fds]
        #: For a folder: the snapshots whose files are seen in it, topmost first.
        self._merged: dict[bytes, tuple[int, ...]] = {b"": self._until_opaque(b"", range(len(self._fds)))}

    def close(self) -> None:
        """Let go of the snapshots; contents of nodes cannot be read any more."""
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> "Stack":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    # ------------------------------------------------------------ one path

    def lookup(self, path: bytes) -> Node | None:
        """What is at `path`, no link followed; None if nothing is, or a parent is no folder."""
        if not path:
            return self._node(0, path) if self._fds else None
        for layer in self._folder(path.rpartition(b"/")[0]):
            node = self._node(layer, path)
            if node is not None:
                return None if is_whiteout(node.stat) else node
        return None

    def root(self) -> Entry:
        """The entry of the root folder: 0755, 0:0 and time 0 where there is no snapshot."""
        node = self.lookup(b"")
        return node.entry() if node is not None else normalise(b"", stat.S_IFDIR | 0o755, 0, 0, 0)

    def resolve(self, path: bytes, *, follow_last: bool = True) -> bytes:
        """The path, free of links, that `path` leads to inside this root.

        Missing parts stay as they are written, `..` never leaves the root.
        BuildError `too-many-links` for a loop.
        """
        return resolve_links(self._link, path, follow_last=follow_last)

    def open(self, path: bytes) -> int:
        """A descriptor of the regular file at `path`, for reading; the caller closes it."""
        node = self.lookup(path)
        if node is None or not node.is_file:
            raise BuildError("no-such-file", f"{display(path)} is not a file of this root")
        return node.open()

    def _link(self, path: bytes) -> bytes | None:
        node = self.lookup(path)
        return node.linkname if node is not None and node.is_symlink else None

    # ------------------------------------------------------------ folders

    def list(self, path: bytes) -> _Names:
        """The names in a folder, sorted bytewise; none if it is no folder."""
        return sorted(self._children(path))

    def walk(self, path: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """The file or folder at `path` and everything below it, in the order of a layer."""
        first = self.lookup(path)
        if first is None:
            return
        yield path, first
        pending = [self._sequence(path)] if first.is_dir else []
        while pending:
            if not pending[-1]:
                pending.pop()
                continue
            key, node = pending[-1].pop()
            if key.endswith(b"/"):
                pending.append(self._sequence(node.path))
            else:
                yield node.path, node

    def _sequence(self, path: bytes) -> _Steps:
        """What a folder gives, last first: names, and `name/` where the folder of that name is entered."""
        children = self._children(path)
        steps = list(children.items())
        steps += [(name + b"/", node) for name, node in children.items() if stat.S_ISDIR(node.stat.st_mode)]
        steps.sort(key=_name, reverse=True)
        return steps

    def _children(self, path: bytes) -> dict[bytes, Node]:
        found: dict[bytes, Node] = {}
        prefix = path + b"/" if path else b""
        for layer in self._folder(path):
            at, fd = self._at[layer], self._fds[layer]
            with os.scandir(at + path) as entries:
                for entry in entries:
                    name = entry.name
                    if name not in found:
                        status = entry.stat(follow_symlinks=False)
                        found[name] = Node(prefix + name, status, at, fd)
        hidden = [name for name, node in found.items() if is_whiteout(node.stat)]
        for name in hidden:
            del found[name]
        return found

    def _folder(self, path: bytes) -> tuple[int, ...]:
        """The snapshots that the folder `path` is merged from; empty if it is no folder."""
        known = self._merged.get(path)
        if known is None:
            known = self._merge(path)
            self._merged[path] = known
        return known

    def _merge(self, path: bytes) -> tuple[int, ...]:
        # From the topmost unknown ancestor down: a path may have more parts than Python has stack.
        missing = [path]
        while (parent := missing[-1].rpartition(b"/")[0]) not in self._merged:
            missing.append(parent)
        for folder in reversed(missing):
            above = self._merged[folder.rpartition(b"/")[0]]
            self._merged[folder] = self._until_opaque(folder, above)
        return self._merged[path]

    def _until_opaque(self, path: bytes, candidates: Sequence[int]) -> tuple[int, ...]:
        merged = []
        for position, layer in enumerate(candidates):
            node = self._node(layer, path)
            if node is None:
                continue
            if not node.is_dir:
                break
            merged.append(layer)
            if position + 1 < len(candidates) and is_opaque(self._at[layer] + path, self._opaque):
                break
        return tuple(merged)

    def _node(self, layer: int, path: bytes) -> Node | None:
        fd = self._fds[layer]
        try:
            status = os.stat(path or b".", dir_fd=fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise
        return Node(path, status, self._at[layer], fd)


def _name(step: tuple[bytes, Node]) -> bytes:
    return step[0]


def resolve_links(link: Callable[[bytes], bytes | None], path: bytes, *, follow_last: bool) -> bytes:
    """Follow the symbolic links of `path` inside a root; `link` gives the target of the link at a path."""
    todo = [part for part in reversed(path.split(b"/")) if part]
    done: list[bytes] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == b".":
            continue
        if part == b"..":
            del done[-1:]
            continue
        done.append(part)
        if not todo and not follow_last:
            break
        target = link(b"/".join(done))
        if target is None:
            continue
        links += 1
        if links > _MOST_LINKS:
            raise BuildError("too-many-links", f"{display(path)} leads through too many symbolic links")
        if target.startswith(b"/"):
            done.clear()
        else:
            done.pop()
        todo += [part for part in reversed(target.split(b"/")) if part]
    return b"/".join(done)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether overlayfs takes a file for a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: bytes, attribute: str) -> bool:
    """Whether the folder has overlayfs' mark of an opaque one."""
    try:
        return os.getxattr(path, attribute, follow_symlinks=False) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


def read_xattrs(path: bytes, *, refuse: str = "") -> Xattrs:
    """The extended attributes of a file that are part of an image, sorted; none where there are none.

    BuildError `unsupported-overlay` if the file has the attribute `refuse`.
    """
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise
    if not names:
        return ()
    if refuse in names:
        raise unsupported_overlay(path)
    return tuple(
        (raw, os.getxattr(path, name, follow_symlinks=False)) for name, raw in _KEPT if name in names
    )


def unsupported_overlay(path: bytes) -> BuildError:
    """The error for an upper folder whose files are not whole."""
    return BuildError(
        "unsupported-overlay",
        f"{path.decode('utf-8', 'backslashreplace')} was made by an overlay with redirects or metacopy",
        hint="mount the overlay with redirect_dir=off,metacopy=off",
        exit_status=1,
    )
