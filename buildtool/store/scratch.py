"""A process's own folder under tmp/, its lock, and the removal of trees.

The folder is made on first use and locked (flock) for as long as the process
lives.  A folder whose lock can be taken belongs to nobody and is swept.
"""

import fcntl
import itertools
import os
import secrets
import stat
import threading
from collections.abc import Iterator


class Scratch:
    """Names for unfinished things; `folder` is what all processes share, `tmp/`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._own: str | None = None
        self._fd = -1
        self._numbers = itertools.count()
        self._mutex = threading.Lock()

    def name(self, kind: str) -> str:
        """A path of this process alone, where nothing is yet."""
        return f"{self._own_folder()}/{kind}{next(self._numbers)}"

    def close(self) -> None:
        """Give the folder back, with what is left in it."""
        with self._mutex:
            own, self._own = self._own, None
            if own is None:
                return
            try:
                remove_tree(own)
            except OSError:
                # Files of subordinate users need their namespace: a sweep there takes them.
                pass
            os.close(self._fd)

    def _own_folder(self) -> str:
        with self._mutex:
            while self._own is None:
                path = f"{self.folder}/{secrets.token_hex(8)}"
                os.mkdir(path, 0o700)
                fd = claim(path)
                if fd is not None:
                    self._own, self._fd = path, fd
            return self._own


def claim(path: str) -> int | None:
    """The lock of a folder that was just made, as its descriptor; None where a sweep took it already."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(fd, fcntl.LOCK_EX)
    if os.fstat(fd).st_nlink:
        return fd
    os.close(fd)
    return None


def abandoned(folder: str, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Folders under `folder` that nobody has a lock on, with a descriptor that has it meanwhile."""
    for name in sorted(name for name in os.listdir(folder) if name.startswith(prefix)):
        path = f"{folder}/{name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _locked(fd):
                yield path, fd
        finally:
            os.close(fd)


def _locked(fd: int) -> bool:
    """Take a lock, if it can be had at once."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep_scratch(folder: str) -> int:
    """Remove what dead processes left under `folder`; how many folders went.

    What this process may not remove (files of subordinate users, seen from
    outside their namespace) stays for a sweep that may.
    """
    removed = 0
    for path, _ in abandoned(folder):
        try:
            remove_tree(path)
            removed += 1
        except OSError:
            continue
    return removed


def remove_tree(path: str) -> None:
    """Remove a folder and all below it; OSError for the first thing that cannot be removed.

    Layers come from strangers, so depth is unbounded: instead of descending, each
    subfolder is moved up to the top and emptied there.  Links are never followed.
    """
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        prefix = f".gone-{secrets.token_hex(8)}-"
        numbers = itertools.count()
        waiting = _empty(top, top, prefix, numbers)
        while waiting:
            name = waiting.pop()
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
            try:
                waiting += _empty(fd, top, prefix, numbers)
            finally:
                os.close(fd)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _empty(fd: int, top: int, prefix: str, numbers: "itertools.count[int]") -> list[str]:
    """Unlink the files of the folder `fd`; its subfolders move to `top`, under the names returned."""
    moved = []
    with os.scandir(fd) as found:
        entries = [(e.name, e.is_dir(follow_symlinks=False)) for e in found]
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=fd)
            continue
        if os.geteuid() != 0 and stat.S_IMODE(os.lstat(name, dir_fd=fd).st_mode) & 0o700 != 0o700:
            os.chmod(name, 0o700, dir_fd=fd)
        aside = f"{prefix}{next(numbers)}"
        os.rename(name, aside, src_dir_fd=fd, dst_dir_fd=top)
        moved.append(aside)
    return moved
