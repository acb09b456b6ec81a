"""The file of a lock during a build: read once, and written as often as something new is known."""

import fcntl
import os

from buildtool.diag import Warned
from buildtool.executor.progress import Progress
from buildtool.lock.model import FILE_NAME, Lock


class LockFile:
    """The lock in `folder`, or a `text` that came with its context; without a folder none at all.

    `path` is where it is kept, empty if it is not.
    """

    def __init__(self, folder: str = "", text: bytes | None = None, progress: Progress | None = None) -> None:
        self.path = os.path.join(folder, FILE_NAME) if folder and text is None else ""
        self.lock = Lock()
        self._progress = progress
        self._told = False
        if self.path:
            from buildtool.lock.read import read

            self.lock = read(self.path)
        elif text:
            from buildtool.lock.read import loads

            self.lock = loads(text, FILE_NAME)

    def keep(self, found: Lock) -> bool:
        """Write down what changed since the lock was read; False if others changed the same meanwhile."""
        if found == self.lock:
            return True
        if not self.path:
            self._tell()
            return True
        from buildtool.lock.merge import merged
        from buildtool.lock.read import read
        from buildtool.lock.write import write

        # The folder, because the file itself is replaced.
        folder = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            both, whole = merged(self.lock, found, read(self.path))
            write(self.path, both)
        finally:
            os.close(folder)
        return whole

    def _tell(self) -> None:
        if self._progress is None or self._told:
            return
        self._told = True
        self._progress.warned(
            Warned(
                "lock-not-kept",
                "what this build pinned is not kept: its context is not a folder of this machine",
                hint=f"a {FILE_NAME} beside its Dockerfile would be obeyed",
            )
        )
