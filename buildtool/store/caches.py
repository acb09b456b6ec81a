"""Caches: folders that outlive a build, for the cache mounts of steps.

A cache is named by whatever makes it another one.  It has one folder, or several
where processes that want it for themselves ran side by side.  A lock (flock) on a
file beside the folder says who uses it: it goes with the process that holds it,
however that ends.

    caches/<name>-<n>/lock      held shared or alone while the folder is used
                     /fs/       the folder; its owners are those of the user namespace
"""

import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from buildtool.diag import BuildError
from buildtool.store.faults import store_fault
from buildtool.store.scratch import Scratch, remove_tree

_PATIENCE = 0.02

Fill = Callable[[str], None]
Sharing = Literal["shared", "private", "locked"]


class Caches:
    """The folder `caches` of a store."""

    def __init__(self, root: str, scratch: Scratch) -> None:
        self.root = root
        self._scratch = scratch

    @contextmanager
    def hold(self, name: str, sharing: Sharing, fill: Fill, cancelled: Callable[[], bool]) -> Iterator[str]:
        """Use the cache `name`, a hexadecimal digest; the path of its folder.

        `shared` users have it together, `locked` ones wait until they are alone with
        it, `private` ones get another folder of the same name.  `fill` makes a new
        folder, at the path that it is called with.  BuildError `cancelled` if the wait
        is given up.
        """
        fd, home = self._locked(name, sharing, cancelled)
        try:
            yield self._filled(home, fill)
        finally:
            os.close(fd)

    @contextmanager
    def anew(self, name: str, fill: Fill) -> Iterator[str]:
        """Begin the cache `name` again: the path of a new folder, which is the cache's at the end.

        It is thrown away where the end is an error, and where somebody uses the old one then.
        """
        made = self._scratch.name("cache")
        try:
            fill(made)
            yield made
            self._replace(f"{self.root}/{name}-0", made)
        finally:
            if os.path.lexists(made):
                remove_tree(made)

    def _replace(self, home: str, made: str) -> None:
        """Let `made` be the folder of a cache that nobody uses, if nobody does."""
        fs, old = f"{home}/fs", self._scratch.name("cache")
        try:
            os.makedirs(home, 0o700, exist_ok=True)
            fd = _lock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fd is None:
                return
            try:
                if os.path.isdir(fs):
                    os.rename(fs, old)
                os.rename(made, fs)
                os.utime(home)
            finally:
                os.close(fd)
            if os.path.isdir(old):
                remove_tree(old)
        except OSError as exc:
            raise store_fault(exc, "replacing a cache") from exc

    def remove_unused(self, oldest: float) -> int:
        """Remove what nobody uses and nobody used since `oldest`; how many folders went.

        Files of subordinate users stay, unless this runs in their namespace.
        """
        removed = 0
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return 0
        for name in names:
            home = f"{self.root}/{name}"
            fd = _lock(home, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fd is None:
                continue
            try:
                if os.stat(home).st_mtime <= oldest:
                    gone = self._scratch.name("cache")
                    os.rename(home, gone)
                    remove_tree(gone)
                    removed += 1
            except OSError:
                pass  # a sweep in the namespace that the files belong to takes the rest
            finally:
                os.close(fd)
        return removed

    def _locked(self, name: str, sharing: Sharing, cancelled: Callable[[], bool]) -> tuple[int, str]:
        kind = fcntl.LOCK_SH if sharing == "shared" else fcntl.LOCK_EX
        for number in itertools.count():
            home = f"{self.root}/{name}-{number if sharing == 'private' else 0}"
            try:
                os.makedirs(home, 0o700, exist_ok=True)
                fd = _lock(home, kind | fcntl.LOCK_NB)
            except OSError as exc:
                raise store_fault(exc, "opening a cache") from exc
            if fd is not None:
                return fd, home
            if sharing != "private":
                if cancelled():
                    raise BuildError("cancelled", "the build was stopped", exit_status=1)
                time.sleep(_PATIENCE)
        raise AssertionError("unreachable")

    def _filled(self, home: str, fill: Fill) -> str:
        """The folder of a cache, made if it is new, by one of those who have it together."""
        fs = f"{home}/fs"
        with open(f"{home}/filling", "wb") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not os.path.isdir(fs):
                made = self._scratch.name("cache")
                fill(made)
                os.rename(made, fs)
            os.utime(home)
        return fs


def _lock(home: str, how: int) -> int | None:
    """A descriptor of the lock of `home`, locked; None if it is taken, or `home` has gone."""
    path = f"{home}/lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, how)
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass  # in use; or removed between opening and locking
    os.close(fd)
    return None
