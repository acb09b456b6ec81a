"""Finishing the upper folder of a step, in place, so that the snapshot is what the layer will say.

Four passes: what the sandbox put in goes away, the finishers that the step asked
for mend known nondeterminism, what no layer holds is dropped, and every time is
made whole.  Whoever unpacks the layer instead of taking the snapshot then sees the
same tree.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from buildtool.diag import BuildError
from buildtool.layers.descriptor import FOLDER, names_in, remove, status_of
from buildtool.layers.entry import parent_of
from buildtool.layers.tree import Stack, XattrPrefix, is_whiteout

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FinishSpec:
    """How to finish a step.

    `clock` is the step's instant in seconds.  `window_start_ns` is the mtime that
    the file system gave a file made just before the process was started: its clock
    runs up to a tick behind that of `time.time_ns`.  `finishers` are names, applied
    in this order; `injected` the paths that the sandbox put into the tree (mount
    points, empty files under bind mounts).
    """

    clock: int
    window_start_ns: int
    finishers: tuple[str, ...] = ()
    injected: tuple[bytes, ...] = ()
    xattr_prefix: XattrPrefix = "trusted"

    def time_of(self, mtime_ns: int) -> int:
        """The normalised mtime, in seconds, of a file with this one: the clock for what the step wrote."""
        seconds = mtime_ns // SECOND
        if mtime_ns >= self.window_start_ns or seconds > self.clock:
            return self.clock
        return max(seconds, 0)


class Mended(NamedTuple):
    """That a finisher changed or dropped a file."""

    finisher: str
    path: bytes


@dataclass(frozen=True, slots=True)
class FinishReport:
    """What was mended, in the order of doing it."""

    mended: tuple[Mended, ...] = ()


def finish(upper: str, lower: Stack, spec: FinishSpec) -> FinishReport:
    """Finish `upper`, at rest, over `lower`; ValueError for a finisher that does not exist.

    Afterwards no entry has a time after the clock or a fraction of a second, and
    `changes` of the folder is the step's layer.
    """
    from buildtool.layers.finishers import FINISHERS

    chosen = []
    for name in spec.finishers:
        if name not in FINISHERS:
            raise ValueError(f"there is no finisher {name!r}")
        chosen.append(FINISHERS[name])
    with Upper(upper, lower, spec) as tree:
        for path in sorted(spec.injected, reverse=True):
            _withdraw(tree, path.strip(b"/"))
        mended = [Mended(f.name, path) for f in chosen for path in f.run(tree)]
        tree.drop_unstorable()
        tree.normalise_times()
    return FinishReport(tuple(mended))


class Upper:
    """The upper folder while it is finished: every path is entered folder by folder, no link followed."""

    def __init__(self, upper: str, lower: Stack, spec: FinishSpec) -> None:
        self.lower = lower
        self.spec = spec
        self._root = os.open(upper, FOLDER)

    def __enter__(self) -> "Upper":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def folder(self, path: bytes) -> int | None:
        """A descriptor of a folder, which the caller closes; None if there is no such folder."""
        current = os.dup(self._root)
        for name in path.split(b"/") if path else ():
            try:
                below = os.open(name, FOLDER, dir_fd=current)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise BuildError(
                    "unreadable-file", f"cannot open what the step wrote: {error.strerror}", exit_status=1
                ) from error
            finally:
                os.close(current)
            current = below
        return current

    def status(self, path: bytes) -> os.stat_result | None:
        """What lstat says of a path of the upper folder itself; None for whiteouts too."""
        parent, _, name = path.rpartition(b"/")
        fd = self.folder(parent)
        if fd is None:
            return None
        try:
            status = status_of(name, fd)
        finally:
            os.close(fd)
        return None if status is None or is_whiteout(status) else status

    def written(self, path: bytes) -> os.stat_result | None:
        """The status of a regular file that the step wrote; None for any other path."""
        status = self.status(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        late = status.st_mtime_ns >= self.spec.window_start_ns
        return status if late or status.st_mtime_ns // SECOND > self.spec.clock else None

    def open(self, path: bytes, flags: int) -> int | None:
        """Open a regular file of the upper folder; None if there is none."""
        parent, _, name = path.rpartition(b"/")
        fd = self.folder(parent)
        if fd is None:
            return None
        try:
            status = status_of(name, fd)
            if status is None or not stat.S_ISREG(status.st_mode):
                return None
            return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
        finally:
            os.close(fd)

    def drop(self, path: bytes) -> None:
        """Remove a file; where the lower tree has one, a whiteout takes its place."""
        parent, _, name = path.rpartition(b"/")
        fd = self.folder(parent)
        if fd is None:
            return
        try:
            remove(name, fd)
            if self.lower.lookup(path) is not None:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=fd)
        finally:
            os.close(fd)

    def walk(self) -> Iterator[tuple[bytes, os.stat_result, int]]:
        """Every file and folder with a descriptor of the folder that holds it, whiteouts left out.

        A folder comes after what it holds.  The root comes last, as name `b"."`.
        """
        # A folder is on the list twice: to be entered, and to be given.
        pending: list[tuple[bytes, bool]] = [(b"", False)]
        while pending:
            path, entered = pending.pop()
            if entered:
                parent, _, name = path.rpartition(b"/")
                fd = self.folder(parent)
                if fd is not None:
                    try:
                        status = status_of(name or b".", fd)
                        if status is not None:
                            yield path, status, fd
                    finally:
                        os.close(fd)
                continue
            pending.append((path, True))
            fd = self.folder(path)
            if fd is None:
                continue
            try:
                for name in names_in(fd):
                    status = status_of(name, fd)
                    full = path + b"/" + name if path else name
                    if status is not None and stat.S_ISDIR(status.st_mode):
                        pending.append((full, False))
                    elif status is not None and not is_whiteout(status):
                        yield full, status, fd
            finally:
                os.close(fd)

    def drop_unstorable(self) -> None:
        """Remove what a layer does not hold: sockets, and attributes that are not of the image."""
        overlay = f"{self.spec.xattr_prefix}.overlay."
        for path, status, fd in self.walk():
            if stat.S_ISSOCK(status.st_mode):
                self.drop(path)
                continue
            full = b"/proc/self/fd/%d/%b" % (fd, path.rpartition(b"/")[2])
            for name in _xattr_names(full):
                # Those of the security modules are the machine's: it may not let go of them.
                if not name.startswith(("security.", overlay)):
                    os.removexattr(full, name, follow_symlinks=False)

    def normalise_times(self) -> None:
        """Give every file and folder the time that `FinishSpec.time_of` says.

        The root keeps the time of the root below, unless it is an entry of the layer.
        """
        root = self.lower.root()
        for path, status, fd in self.walk():
            seconds = self.spec.time_of(status.st_mtime_ns)
            same = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == root[2:5]
            if not path and same:
                seconds = root.mtime
            if seconds * SECOND != status.st_mtime_ns:
                name = path.rpartition(b"/")[2] or b"."
                os.utime(name, (seconds, seconds), dir_fd=fd, follow_symlinks=False)


def _xattr_names(path: bytes) -> list[str]:
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _withdraw(tree: Upper, path: bytes) -> None:
    """Remove an empty file or folder that the sandbox put in, and folders that were made for it."""
    while path:
        if tree.lower.lookup(path) is not None or not _remove_empty(tree, path):
            return
        path = parent_of(path)
        restore_time(tree, path)


def _remove_empty(tree: Upper, path: bytes) -> bool:
    status = tree.status(path)
    if status is None:
        return True  # gone already: what was made for it may go as well
    parent, _, name = path.rpartition(b"/")
    fd = tree.folder(parent)
    if fd is None:
        return True
    try:
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=fd)
        elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
            os.unlink(name, dir_fd=fd)
        else:
            return False
    except OSError:
        return False  # the step put something into it
    finally:
        os.close(fd)
    return True


def restore_time(tree: Upper, path: bytes) -> None:
    """Where nothing else changed in a folder of the lower tree, undo that we touched it."""
    below = tree.lower.lookup(path)
    fd = tree.folder(path)
    if fd is None:
        return
    try:
        if below is not None and below.is_dir and not names_in(fd):
            os.utime(fd, (below.mtime, below.mtime))
    finally:
        os.close(fd)
