"""Upload sessions of a served store: blobs on their way in, part by part."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.registry.shelf import Refused
from buildtool.store import Blobs, BlobWriter

#: Sessions at once; the one that was idle longest makes room.
_MOST = 64
_IDLE = 3600.0


@dataclass
class Session:
    """An upload; one request at a time may use it."""

    name: str
    path: str
    writer: BlobWriter
    used: float
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.writer.size


class Sessions:
    """The uploads that are going on; they end with the server."""

    def __init__(self, blobs: Blobs, clock: Callable[[], float] = time.monotonic) -> None:
        self._blobs = blobs
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._guard = threading.Lock()

    def begin(self, path: str) -> Session:
        """A new session of a repository."""
        with self._guard:
            now = self._clock()
            idle = sorted(self._sessions.values(), key=lambda s: s.used)
            crowd = idle[: max(0, len(idle) - _MOST + 1)]
            for old in {s.name: s for s in (*crowd, *(s for s in idle if now - s.used > _IDLE))}.values():
                if old.lock.acquire(blocking=False):
                    self._drop(old)
            writer = self._blobs.writer().__enter__()
            session = Session(secrets.token_hex(16), path, writer, now)
            self._sessions[session.name] = session
            return session

    @contextmanager
    def use(self, path: str, name: str) -> Iterator[Session]:
        """The session of a repository, for one request; Refused with 404, or 409 while another uses it."""
        with self._guard:
            session = self._sessions.get(name)
            if session is None or session.path != path:
                raise Refused(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload")
            session.used = self._clock()
        # A request whose connection broke may still be on its way out.
        if not session.lock.acquire(timeout=5):
            raise Refused(409, "BLOB_UPLOAD_INVALID", "another request uses this upload")
        try:
            yield session
        finally:
            session.lock.release()

    def finish(self, session: Session, digest: str) -> None:
        """End an upload: its bytes become a blob if they have the digest; Refused with 400."""
        with self._guard:
            self._sessions.pop(session.name, None)
        try:
            session.writer.expect(parse_digest(digest))
            session.writer.__exit__(None, None, None)
        except BuildError as error:
            if error.code == "bad-digest":
                self._close(session)
            elif error.code != "digest-mismatch":
                raise
            raise Refused(400, "DIGEST_INVALID", error.message) from error

    def cancel(self, session: Session) -> None:
        """End an upload and keep nothing of it."""
        with self._guard:
            self._drop(session)

    def close(self) -> None:
        """End all uploads."""
        with self._guard:
            for session in list(self._sessions.values()):
                self._drop(session)

    def _drop(self, session: Session) -> None:
        if self._sessions.pop(session.name, None) is not None:
            self._close(session)

    def _close(self, session: Session) -> None:
        stop = Refused(404, "BLOB_UPLOAD_UNKNOWN", "the upload has ended")
        session.writer.__exit__(Refused, stop, None)
