"""The target of an unpacking: its folders, each reached by descriptors and never through a link."""

import errno
import os
import stat

from buildtool.diag import BuildError
from buildtool.layers.descriptor import FOLDER, names_in, remove, status_of
from buildtool.layers.entry import display, parent_of
from buildtool.layers.tree import Node, Stack, XattrPrefix, is_whiteout, resolve_links

#: How many folders stay open from one entry to the next.
MOST_OPEN = 64


class Target:
    """A folder in the form of overlayfs' upper layer, over the tree `lower`, while it is filled."""

    def __init__(self, target: str, lower: Stack, xattr_prefix: XattrPrefix) -> None:
        self._lower = lower
        self._opaque_attribute = f"{xattr_prefix}.overlay.opaque"
        self._root = os.open(target, FOLDER)
        self._open: dict[bytes, int] = {}
        #: Folders of the target and the times that they get in the end.
        self.times: dict[bytes, int] = {}
        #: Folders of the target that hide what is below them.
        self._opaque: set[bytes] = set()
        self._describe(b"", self._root)

    def close(self) -> None:
        """Let go of every folder."""
        self._forget()
        os.close(self._root)

    def finish(self) -> None:
        """Give the folders their times, which files that were put into them have moved."""
        for path in sorted(self.times, reverse=True):
            fd = self._walk_to(path)
            try:
                os.utime(fd, (self.times[path], self.times[path]))
            finally:
                os.close(fd)

    def folder(self, path: bytes) -> int:
        """A descriptor of the folder `path` of the target, made if missing; good until `begin_entry`."""
        if not path:
            return self._root
        known = self._open.get(path)
        if known is None:
            known = self._open[path] = self._walk_to(path)
        return known

    def _walk_to(self, path: bytes) -> int:
        """As `folder`, but the descriptor is the caller's."""
        start, fd = path, None
        while start and (fd := self._open.get(start)) is None:
            start = parent_of(start)
        current = os.dup(self._root if fd is None else fd)
        done = start
        try:
            for name in path[len(start) :].split(b"/"):
                if not name:
                    continue
                done = done + b"/" + name if done else name
                below = self._enter(current, name, done)
                os.close(current)
                current = below
        except BaseException:
            os.close(current)
            raise
        return current

    def _enter(self, parent: int, name: bytes, path: bytes) -> int:
        """Open the folder `name`, or make it as the lower tree has it."""
        try:
            return os.open(name, FOLDER, dir_fd=parent)
        except FileNotFoundError:
            there = None
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            there = status_of(name, parent)
            if there is None or not is_whiteout(there):
                raise BuildError(
                    "unsafe-archive", f"the layer puts files into {display(path)}, which is no folder"
                ) from error
        if there is not None:
            os.unlink(name, dir_fd=parent)
            self.make_folder(parent, name, path, hides=True)
        else:
            self.make_folder(parent, name, path, hides=False)
        fd = os.open(name, FOLDER, dir_fd=parent)
        self._describe(path, fd)
        return fd

    def make_folder(self, parent: int, name: bytes, path: bytes, *, hides: bool) -> None:
        """Make the folder `path`, which is `name` in `parent`; with `hides`, nothing below it is seen."""
        os.mkdir(name, 0o700, dir_fd=parent)
        self.times[path] = 0  # known as a folder from now on; its real time comes with its description
        if hides:
            self.hide(path)

    def _describe(self, path: bytes, fd: int) -> None:
        """Give a folder that the layer does not describe the metadata of the lower one."""
        node = self.lower_node(path)
        if node is not None and node.is_dir:
            os.fchown(fd, node.stat.st_uid, node.stat.st_gid)
            os.fchmod(fd, stat.S_IMODE(node.stat.st_mode))
            self.times[path] = node.mtime
        else:
            os.fchown(fd, 0, 0)
            os.fchmod(fd, 0o755)
            self.times[path] = 0

    def begin_entry(self) -> None:
        """Let go of folders that earlier entries used, if they are many."""
        if len(self._open) >= MOST_OPEN:
            self._forget()

    def _forget(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def lower_node(self, path: bytes) -> Node | None:
        """What the lower tree shows at `path` through the folders of the target."""
        above = path
        while self._opaque and above:
            above = parent_of(above)
            if above in self._opaque:
                return None
        return self._lower.lookup(path)

    def inside(self, path: bytes) -> bytes:
        """The path with the links of this layer among its parents followed, inside the target."""
        parent, _, name = path.rpartition(b"/")
        if not parent or parent in self._open or parent in self.times:
            return path
        resolved = resolve_links(self._link, parent, follow_last=True)
        return resolved + b"/" + name if resolved else name

    def _link(self, path: bytes) -> bytes | None:
        if path in self.times:
            return None
        parent = parent_of(path)
        if parent and parent not in self.times:
            return None  # the parent is not in the target yet, so nothing in it is
        name = path.rpartition(b"/")[2]
        fd = self._walk_to(parent)
        try:
            there = status_of(name, fd)
            return os.readlink(name, dir_fd=fd) if there and stat.S_ISLNK(there.st_mode) else None
        finally:
            os.close(fd)

    def make_room(self, parent: int, name: bytes, path: bytes) -> None:
        """Remove what an earlier entry of the layer put at a path."""
        there = status_of(name, parent)
        if there is None:
            return
        remove(name, parent)
        if stat.S_ISDIR(there.st_mode):
            prefix = path + b"/"
            for gone in [p for p in self._open if p == path or p.startswith(prefix)]:
                os.close(self._open.pop(gone))
            self._opaque = {p for p in self._opaque if p != path and not p.startswith(prefix)}
            for below in [p for p in self.times if p == path or p.startswith(prefix)]:
                del self.times[below]

    def hide(self, path: bytes) -> None:
        """Make the folder `path` opaque, if there is anything to hide."""
        node = self.lower_node(path)
        if node is None or not node.is_dir:
            return
        fd = self.folder(path)
        os.setxattr(fd, self._opaque_attribute, b"y")
        self._opaque.add(path)
        self._drop_whiteouts(path)

    def _drop_whiteouts(self, folder: bytes) -> None:
        """Remove whiteouts in a folder that became opaque: overlayfs would show them as devices."""
        pending = [folder]
        while pending:
            path = pending.pop()
            fd = self._walk_to(path)
            try:
                for name in names_in(fd):
                    there = status_of(name, fd)
                    if there is not None and stat.S_ISDIR(there.st_mode):
                        pending.append(path + b"/" + name if path else name)
                    elif there is not None and is_whiteout(there):
                        os.unlink(name, dir_fd=fd)
            finally:
                os.close(fd)
