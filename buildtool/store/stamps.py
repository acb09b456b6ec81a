"""Use stamps: when a blob or a snapshot was last needed, kept as its modification time.

A stamp is refreshed when it is older than `GRANULARITY`, so that a build that is
all cached writes nothing.  Refreshing and collecting exclude each other by a lock
on the store's `lock` file; see the picture in `buildtool.store`.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a use is noted again.
GRANULARITY = 6 * 3600
#: Seconds without a use before a thing may be collected beside running builds.
SAFE_AGE = 24 * 3600


def refresh(path: str, stat: os.stat_result, lock: str) -> bool:
    """Note that `path`, seen as `stat`, is in use; False if it went away meanwhile."""
    if time.time() - stat.st_mtime < GRANULARITY:
        return True
    try:
        with locked(lock, fcntl.LOCK_SH):
            os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        # A store that may only be read, or a snapshot of a subordinate user: it stays usable.
        return os.path.exists(path)
    return True


@contextmanager
def locked(path: str, how: int) -> Iterator[None]:
    """Hold an flock of kind `how` on the file `path` (made if it is missing) for a while."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
