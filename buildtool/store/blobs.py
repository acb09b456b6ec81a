"""Blobs: bytes named by their SHA-256, put atomically and verified when read.

A put goes through a temporary file: write and hash, fsync, rename, fsync of the
folder.  A read verifies; a file that proved right stays trusted in this process
while its identity (device, inode, size, times) is the same.
"""

import hashlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, parse_digest
from buildtool.store.faults import store_fault
from buildtool.store.scratch import Scratch
from buildtool.store.stamps import refresh

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 20

_Identity = tuple[int, ...]


class Blobs:
    """The folder `blobs/sha256` of a store."""

    def __init__(self, folder: str, scratch: Scratch, lock: str) -> None:
        self.folder = folder
        self._scratch = scratch
        self._lock = lock
        self._verified: dict[Digest, _Identity] = {}

    def path(self, digest: Digest) -> str:
        """Where the blob is or would be; its bytes there are not verified."""
        return f"{self.folder}/{hex_of(digest)}"

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there, unverified; notes the use."""
        try:
            found = os.stat(self.path(digest), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and refresh(self.path(digest), found, self._lock)

    def size(self, digest: Digest) -> int:
        """Bytes of the blob; BuildError `missing-blob`."""
        try:
            return os.stat(self.path(digest), follow_symlinks=False).st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def digests(self) -> Iterator[Digest]:
        """Every blob that is there, in order; files with other names are passed over."""
        for name in sorted(os.listdir(self.folder)):
            try:
                yield parse_digest(f"sha256:{name}")
            except BuildError:
                continue

    def read(self, digest: Digest, limit: int) -> bytes:
        """The whole blob, verified; BuildError `missing-blob`, `corrupt-blob`, `blob-too-large`."""
        if (size := self.size(digest)) > limit:
            raise BuildError("blob-too-large", f"{digest} has {size} bytes; at most {limit} are read here")
        with self.open(digest) as blob:
            return blob.read()

    def open(self, digest: Digest) -> BinaryIO:
        """The blob for reading from its beginning; not seekable unless it is verified already.

        Raises BuildError `missing-blob` at once and, from the read that reaches the
        end, `corrupt-blob`; the corrupt file is gone by then.  A reader that stops
        before the end has verified nothing.
        """
        try:
            fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise _missing(digest) from None
        except OSError as exc:
            raise store_fault(exc, f"reading {digest}") from exc
        if self._verified.get(digest) == _identity(os.fstat(fd)):
            return os.fdopen(fd, "rb")
        return cast(BinaryIO, io.BufferedReader(_Verifying(fd, digest, self), _CHUNK))

    def writer(self, expect: Digest | None = None) -> "BlobWriter":
        """A context manager to write one blob; with `expect`, bytes of another digest are refused."""
        return BlobWriter(self, expect)

    def put(self, data: bytes) -> Digest:
        """Store some bytes."""
        with self.writer() as out:
            out.write(data)
        return out.digest

    def remove(self, digest: Digest) -> None:
        """Remove the blob if it is there."""
        self._verified.pop(digest, None)
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            pass

    def _ended(self, digest: Digest, found: str, seen: os.stat_result) -> None:
        """A reader came to the end of the file `seen`: trust it, or remove it and raise."""
        if found == hex_of(digest):
            self._verified[digest] = _identity(seen)
            return
        try:
            now = os.stat(self.path(digest), follow_symlinks=False)
            # Another process may have healed it meanwhile; only the wrong file goes.
            if (now.st_dev, now.st_ino) == (seen.st_dev, seen.st_ino):
                self.remove(digest)
        except FileNotFoundError:
            pass
        raise BuildError(
            "corrupt-blob",
            f"the store's copy of {digest} had other content (sha256:{found}) and was removed",
            hint="run the build again: what is missing is made or fetched anew",
            exit_status=1,
        )


class BlobWriter:
    """One blob on its way in; `digest` and `size` hold once it is sealed or the `with` block ended well.

    An exception inside the block leaves nothing behind.  BuildError
    `digest-mismatch` when `expect` is not what was written, `disk-full`.
    """

    digest: Digest

    def __init__(self, blobs: Blobs, expect: Digest | None) -> None:
        self._blobs = blobs
        self._expect = expect
        self._hash = hashlib.sha256()
        self._fd = -1
        self.size = 0

    def __enter__(self) -> "BlobWriter":
        try:
            self._path = self._blobs._scratch.name("blob")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o644)
        except OSError as exc:
            raise store_fault(exc, "making a blob") from exc
        return self

    def expect(self, digest: Digest) -> None:
        """Refuse other bytes than those of a digest that was not known at the beginning."""
        self._expect = digest

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add bytes; how many they were, which is all of them."""
        self._hash.update(data)
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as exc:
            raise store_fault(exc, "writing a blob") from exc
        self.size += len(data)
        return len(data)

    def reader(self) -> int:
        """A descriptor for reading what was written so far, to be closed; good beyond the `with` block."""
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def seal(self) -> None:
        """Nothing more will be written: tell the digest, or that it is another than expected."""
        self.digest = Digest("sha256:" + self._hash.hexdigest())
        if self._expect not in (None, self.digest):
            raise BuildError(
                "digest-mismatch",
                f"expected {self._expect}, got {self.digest} ({self.size} bytes)",
                exit_status=1,
            )

    def __exit__(self, kind: object, exc: object, trace: object) -> None:
        placed = False
        try:
            if kind is None:
                self._place()
                placed = True
        except OSError as fault:
            raise store_fault(fault, "finishing a blob") from fault
        finally:
            os.close(self._fd)
            if not placed:
                try:
                    os.unlink(self._path)
                except OSError:
                    pass

    def _place(self) -> None:
        self.seal()
        os.fsync(self._fd)
        # Renaming over a blob that exists also heals one that is corrupt.
        os.rename(self._path, self._blobs.path(self.digest))
        _sync_folder(self._blobs.folder)
        self._blobs._verified[self.digest] = _identity(os.fstat(self._fd))


class _Verifying(io.RawIOBase):
    """A file that is hashed while it is read, and judged when its end is reached."""

    def __init__(self, fd: int, digest: Digest, blobs: Blobs) -> None:
        self._fd = fd
        self._digest = digest
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._stat = os.fstat(fd)
        self._mutex = threading.Lock()
        self._judged = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        try:
            count = os.readv(self._fd, [view])
        except OSError as exc:
            raise store_fault(exc, f"reading {self._digest}") from exc
        if count:
            self._hash.update(view[:count])
        elif len(view) and not self._judged:
            self._blobs._ended(self._digest, self._hash.hexdigest(), self._stat)
            self._judged = True
        return count

    def close(self) -> None:
        with self._mutex:
            if not self.closed:
                os.close(self._fd)
                super().close()


def _identity(seen: os.stat_result) -> _Identity:
    # A refreshed use stamp moves the times too: that costs one more verification, rarely.
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _missing(digest: Digest) -> BuildError:
    return BuildError(
        "missing-blob",
        f"{digest} is not in the store",
        hint="run the build again: what is missing is made or fetched anew",
        exit_status=1,
    )


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
