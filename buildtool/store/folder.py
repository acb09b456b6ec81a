"""The store's folder: finding it, making it, and handing out its parts."""

import fcntl
import os

from buildtool.diag import BuildError
from buildtool.store.blobs import Blobs
from buildtool.store.caches import Caches
from buildtool.store.faults import store_fault
from buildtool.store.refs import Refs
from buildtool.store.results import Results
from buildtool.store.scratch import Scratch
from buildtool.store.snapshots import Snapshots
from buildtool.store.stamps import locked

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_EMPTY_INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


class Store:
    """An open store; a context manager.  See the picture in `buildtool.store`.

    One object may be used by many threads, a folder by many processes.  It must not
    be carried over a fork: open the folder again instead.
    """

    def __init__(self, path: str, alive_fd: int) -> None:
        self.path = path
        self.tmp = f"{path}/tmp"
        self.lock = f"{path}/lock"
        self._alive_fd = alive_fd
        self.scratch = Scratch(self.tmp)
        self.refs = Refs(path, self.lock)
        self.blobs = Blobs(f"{path}/blobs/sha256", self.scratch, self.lock)
        self.snapshots = Snapshots(f"{path}/snapshots", self.scratch, self.lock)
        self.caches = Caches(f"{path}/caches", self.scratch)
        self.results = Results(f"{path}/index.sqlite", self.refs, self.blobs)

    @classmethod
    def open(cls, path: str | None = None) -> "Store":
        """Open the store at `path` (None: the user's own), making what is missing.

        BuildError `store-fault`, `disk-full`, or `foreign-store` when the folder is
        another user's: the owners of unpacked files would not mean the same.
        """
        chosen = os.path.abspath(path if path is not None else default_path())
        try:
            owner = _prepare(chosen)
            if owner != os.geteuid():
                raise BuildError(
                    "foreign-store",
                    f"the store {chosen} belongs to user {owner}",
                    hint="point BUILDTOOL_STORE at a folder of your own",
                )
            fd = os.open(f"{chosen}/alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_SH)
        except OSError as exc:
            raise store_fault(exc, f"opening the store {chosen}") from exc
        return cls(chosen, fd)

    def temporary(self, kind: str) -> str:
        """A path in tmp/, of this process alone, where nothing is yet; removed with the process."""
        return self.scratch.name(kind)

    def close(self) -> None:
        """Commit what is pending and give back the temporary folder."""
        try:
            self.results.close()
        finally:
            self.scratch.close()
            if self._alive_fd >= 0:
                os.close(self._alive_fd)
                self._alive_fd = -1

    def alone(self) -> bool:
        """Make this the only open store of the folder, until it is closed; False if there are others."""
        try:
            fcntl.flock(self._alive_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The kernel gives the old lock up before it tries for the new one.
            fcntl.flock(self._alive_fd, fcntl.LOCK_SH)
            return False
        return True

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def default_path() -> str:
    """$BUILDTOOL_STORE, else buildtool/store under $XDG_CACHE_HOME, else under ~/.cache.

    Without $HOME the home is the one that the user database names.
    """
    if chosen := os.environ.get("BUILDTOOL_STORE"):
        return chosen
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        # XDG Base Directory Specification: relative paths are to be ignored.
        home = os.path.expanduser("~")
        if not home.startswith("/"):
            raise BuildError(
                "no-home", "there is no home directory to keep the store in", hint="set BUILDTOOL_STORE"
            )
        cache = f"{home}/.cache"
    return f"{cache}/buildtool/store"


def _prepare(path: str) -> int:
    """Make what is missing of the folder; the user id that it belongs to."""
    try:
        # Written last, so that it stands for all the rest.
        return os.stat(f"{path}/oci-layout").st_uid
    except FileNotFoundError:
        pass
    os.makedirs(path, 0o700, exist_ok=True)
    for name in ("blobs", "blobs/sha256", "caches", "snapshots", "tmp"):
        folder = f"{path}/{name}"
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            continue
        _plain(folder)
    with locked(f"{path}/lock", fcntl.LOCK_EX):
        for name, data in (("index.json", _EMPTY_INDEX), ("oci-layout", _LAYOUT)):
            if not os.path.exists(f"{path}/{name}"):
                _write(f"{path}/{name}", data)
    return os.stat(path).st_uid


def _plain(folder: str) -> None:
    """Take away what a folder inherits from the one above: files made in it would inherit it too."""
    os.chmod(folder, 0o700)
    try:
        os.removexattr(folder, "system.posix_acl_default")
    except OSError:
        pass


def _write(path: str, data: bytes) -> None:
    unfinished = f"{path}.new"
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(unfinished, path)
