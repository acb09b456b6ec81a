"""Folders where a bench builds: locked as long as anybody works in them, swept when nobody does.

    /var/tmp/buildtool-verify-XXXXXXXX/    a bench's
    /dev/shm/buildtool-verify-XXXXXXXX/    the same for a store in memory

The lock (flock on the folder) is held by the bench and by the builds that it starts, so a
folder of ours whose lock can be taken is what a bench left behind that was killed.
"""

import os
import subprocess
import tempfile

from buildtool.diag import BuildError
from buildtool.store.scratch import abandoned, claim, remove_tree
from buildtool.verify.perturb import MEMORY

_PREFIX = "buildtool-verify-"


class Folders:
    """The folders of one bench; a sweep of those that others left comes first."""

    def __init__(self) -> None:
        sweep()
        self._held: dict[str, int] = {}

    @property
    def locks(self) -> tuple[int, ...]:
        """Descriptors that a process in these folders has to inherit."""
        return tuple(self._held.values())

    def make(self, *, memory: bool = False) -> str:
        """A new folder that other accounts may pass through, on disk or in memory."""
        while True:
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=MEMORY if memory else _on_disk())
            fd = claim(path)
            if fd is not None:
                self._held[path] = fd
                os.chmod(path, 0o711)
                return path

    def close(self) -> None:
        """Remove them with all that is in them."""
        while self._held:
            path, fd = self._held.popitem()
            try:
                discard(path)
            finally:
                os.close(fd)


def sweep() -> int:
    """Remove what benches of this user that were killed left behind; how many folders went."""
    removed = 0
    for parent in filter(os.path.isdir, dict.fromkeys((_on_disk(), MEMORY))):
        for path, fd in abandoned(parent, _PREFIX):
            # Anybody may make folders here, and call them as we do.
            if os.fstat(fd).st_uid != os.geteuid():
                continue
            try:
                _unmount(path)
                discard(path)
                removed += 1
            except (OSError, BuildError):
                continue  # for a later sweep, which may do what this one cannot
    return removed


def discard(folder: str) -> None:
    """Remove a folder; files of subordinate users are removed in their namespace."""
    try:
        remove_tree(folder)
    except PermissionError:
        from buildtool.sandbox import namespaces

        namespaces.spawn(("rm", "-rf", "--", folder)).wait()


def _on_disk() -> str:
    return os.environ.get("TMPDIR") or "/var/tmp"


def _unmount(folder: str) -> None:
    """Let go of the mounts of disorderfs below a folder, the innermost first."""
    below = os.fsencode(os.path.realpath(folder)) + b"/"
    with open("/proc/self/mountinfo", "rb") as file:
        # Spaces and their like are written in octal (proc_pid_mountinfo(5)).
        points = [row.split()[4].decode("unicode_escape").encode("latin-1") for row in file]
    for point in reversed([p for p in points if p.startswith(below)]):
        subprocess.run([b"fusermount", b"-u", b"-z", point], capture_output=True)
