"""Mount points inside a root file system, made without ever leaving it.

A path is walked component by component from a descriptor of the root, symbolic
links included: an absolute one starts again at the root, `..` stops there.
"""

import errno
import os
import stat
from dataclasses import dataclass, field

from buildtool.diag import BuildError

_MOST_LINKS = 40
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class MountPoints:
    """Makes what is missing below `rootfs` and remembers what that was.

    `made` are the paths that were made, parents first, relative to the root.
    """

    rootfs: str
    made: list[bytes] = field(default_factory=list)

    def folder(self, path: str, *, owner: tuple[int, int] = (0, 0), keep: bool = False) -> str:
        """Make sure of a folder (0755); its path with all links resolved.

        With `keep` it is meant to stay: it is not among `made`.
        """
        return self._ensure(path, is_file=False, owner=owner, keep=keep)

    def file(self, path: str) -> str:
        """Make sure of a file (0644, empty if it is new); its path with all links resolved."""
        return self._ensure(path, is_file=True, owner=(0, 0), keep=False)

    def _ensure(self, path: str, *, is_file: bool, owner: tuple[int, int], keep: bool) -> str:
        root = os.open(self.rootfs, _FOLDER)
        try:
            return os.fsdecode(b"/" + self._walk(root, os.fsencode(path), is_file, owner, keep))
        except OSError as e:
            raise BuildError(
                "bad-mount-point", f"cannot make {path!r} in the step's root: {e.strerror}", exit_status=1
            ) from None
        finally:
            os.close(root)

    def _walk(self, root: int, path: bytes, is_file: bool, owner: tuple[int, int], keep: bool) -> bytes:
        todo = _components(path)
        names: list[bytes] = []
        folders = [os.dup(root)]
        links = 0
        try:
            while todo:
                name = todo.pop()
                if name == b"..":
                    if names:
                        names.pop()
                        os.close(folders.pop())
                    continue
                try:
                    mode = os.stat(name, dir_fd=folders[-1], follow_symlinks=False).st_mode
                except FileNotFoundError:
                    as_file = is_file and not todo
                    self._make(folders[-1], name, as_file, owner)
                    mode = stat.S_IFREG if as_file else stat.S_IFDIR
                    if not keep:
                        self.made.append(b"/".join([*names, name]))
                if stat.S_ISLNK(mode):
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    target = os.readlink(name, dir_fd=folders[-1])
                    if target.startswith(b"/"):
                        names.clear()
                        while len(folders) > 1:
                            os.close(folders.pop())
                    todo += _components(target)
                    continue
                if todo or not is_file:
                    folders.append(os.open(name, _FOLDER, dir_fd=folders[-1]))
                names.append(name)
            return b"/".join(names)
        finally:
            for fd in folders:
                os.close(fd)

    def _make(self, parent: int, name: bytes, as_file: bool, owner: tuple[int, int]) -> None:
        """Make one entry, and leave the parent with the times that it had."""
        before = os.stat(parent)
        if as_file:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent))
        else:
            os.mkdir(name, 0o755, dir_fd=parent)
        if owner != (0, 0):
            os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def _components(path: bytes) -> list[bytes]:
    """The names of a path, last first; empty ones and `.` are nothing."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]
