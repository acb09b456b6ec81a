"""The desk: decides what answers a request of a step, and notes what could not be answered."""

import threading
from collections.abc import Iterable
from typing import IO, Protocol
from urllib.parse import urljoin

from buildtool.address import public
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.exchanges import Exchange
from buildtool.network.answers import Answers, keeps
from buildtool.network.asking import Asking, Routes
from buildtool.network.cookies import Cookies
from buildtool.network.outward import Outward, Response
from buildtool.network.recording import Broken, Head, Recording
from buildtool.network.settings import Refused, Settings
from buildtool.store import Blobs

_CHUNK = 1 << 20
_MOST_REFUSED = 1000
#: Answers that are received at once, each with a thread and three open files.
_MOST_RECEIVED = 128
_OFFLINE_HINT = "build without --offline once, or give it a bundle that has the body (--bundle)"
_STRICT_HINT = (
    "the step is the one in the lock, and asks for something else than it did; "
    "record it anew with: buildtool lock --update"
)


class Given(Protocol):
    """An answer that is handed out; to be closed."""

    def head(self) -> Head:
        """The answer without its body; Broken if there is none."""

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes of the body from `offset` on; none at its end; Broken."""

    def close(self) -> None:
        """Let go of it."""


class Stored:
    """A recorded answer, its body (None for none) a verified blob."""

    def __init__(self, exchange: Exchange, body: IO[bytes] | None) -> None:
        self._exchange = exchange
        self._body = body

    def head(self) -> Head:
        """The answer without its body."""
        return Head(self._exchange.status, self._exchange.headers, self._exchange.size)

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes of the body from `offset` on."""
        if self._body is None:
            return b""
        self._body.seek(offset)
        return self._body.read(count)

    def close(self) -> None:
        """Close the blob."""
        if self._body is not None:
            self._body.close()


class Followed:
    """An answer that is being received."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.head = recording.head
        self.read = recording.read

    def close(self) -> None:
        """Stop following; receiving goes on."""
        self._recording.release()


class Desk:
    """Answers the requests of one step; any number of threads ask it.

    At most `most` answers are on their way from outside at once; who asks for more waits.
    """

    def __init__(
        self,
        settings: Settings,
        answers: Answers,
        outward: Outward,
        blobs: Blobs,
        *,
        most: int = _MOST_RECEIVED,
    ) -> None:
        self._settings = settings
        self._answers = answers
        self._outward = outward
        self._blobs = blobs
        self._routes = Routes(settings.routes)
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(most)
        self._receiving: dict[tuple[object, ...], Recording] = {}
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._refused: dict[str, tuple[Refused, str]] = {}
        #: Addresses with the credentials that a redirect gave them, by place.
        self._signed: dict[str, str] = {}
        self._cookies = Cookies()

    def place(self, url: str) -> str:
        """What an address is known by."""
        place = self._routes.place(url)
        return place if self._routes.is_archive(place) else self._answers.recorded_as(place)

    def answer(self, asking: Asking, body: IO[bytes] | None) -> Given:
        """What answers the request; `body` is closed when it is no longer needed.  Broken for a refusal."""
        asking = self._cookies.shown(asking)
        key = (asking.method, asking.place, asking.request, asking.choosing, asking.authorized)
        with self._lock:
            recording = self._receiving.get(key)
            if recording is not None and recording.follow():
                _close(body)
                return Followed(recording)
            exchange = self._answers.find(asking)
        try:
            stored = self._stored(exchange) if exchange is not None else None
            if stored is not None:
                _close(body)
                return stored
            self._check(asking, exchange)
        except Broken as e:
            _close(body)
            self.refuse(str(asking), e)
            raise
        return self._record(key, asking, exchange, body)

    def _check(self, asking: Asking, exchange: Exchange | None) -> None:
        """Broken if the outside may not be asked."""
        if exchange is None and self._settings.strict:
            raise Broken("it is not in the recording of this step", "not-recorded", _STRICT_HINT)
        if self._settings.offline:
            if exchange is None:
                raise Broken("it is not in the lock, and the build is offline", "not-recorded", _OFFLINE_HINT)
            raise Broken(
                f"its body {exchange.body} is not in the store, and the build is offline",
                "body-missing",
                _OFFLINE_HINT,
            )

    def _record(
        self, key: tuple[object, ...], asking: Asking, exchange: Exchange | None, body: IO[bytes] | None
    ) -> Given:
        self._room.acquire()
        with self._lock:
            recording = self._receiving.get(key)
            has_begun = recording is not None and recording.follow()
            if not has_begun and self._answers.find(asking) is exchange:
                return self._begin(key, Recording(asking, exchange, self._stopped), body)
        # Another thread has begun, or even ended, while this one waited.
        self._room.release()
        if recording is None or not has_begun:
            return self.answer(asking, body)
        _close(body)
        return Followed(recording)

    def _begin(self, key: tuple[object, ...], recording: Recording, body: IO[bytes] | None) -> Followed:
        """Let a thread receive; the lock is held, and there is room for it."""
        recording.follow()
        thread = threading.Thread(target=self._receive, args=(key, recording, body), daemon=True)
        try:
            # It takes the lock to leave, so it cannot have left before it is known.
            thread.start()
        except RuntimeError:
            self._room.release()
            raise
        self._threads.append(thread)
        self._receiving[key] = recording
        return Followed(recording)

    def _receive(self, key: tuple[object, ...], recording: Recording, body: IO[bytes] | None) -> None:
        try:
            recording.receive(lambda: self._ask(recording, body), self._blobs, self._received)
        finally:
            _close(body)
            self._room.release()
            with self._lock:
                self._receiving.pop(key, None)
            if recording.error is not None:
                self.refuse(str(recording.asking), recording.error)

    def _ask(self, recording: Recording, body: IO[bytes] | None) -> Response:
        asking = recording.asking
        url = self._signed.get(asking.place, asking.url)
        is_archive = self._routes.is_archive(asking.place)
        addresses = self._routes.addresses(asking.place, url, was_recorded=recording.expect is not None)
        response = self._outward.ask(asking, addresses, body, is_archive=is_archive)
        self._cookies.keep(response.url, response.header("set-cookie"))
        for location in response.header("location"):
            target = urljoin(response.url, location)
            if public(target) != target:
                self._signed[self.place(target)] = target
        return response

    def _received(self, recording: Recording) -> None:
        exchange = recording.exchange
        assert exchange is not None
        if keeps(exchange.status):
            if recording.expect is None:
                self._answers.add(exchange)
            with self._lock:
                self._refused.pop(str(recording.asking), None)
        else:
            self.refuse(
                str(recording.asking),
                Broken(f"the server answers {exchange.status}", hint="build again when the server is well"),
            )

    def _stored(self, exchange: Exchange) -> Stored | None:
        """The recorded answer, its body verified; None if the body is missing or was damaged."""
        if exchange.body is None:
            return Stored(exchange, None)
        body = self._verified(exchange.body)
        return None if body is None else Stored(exchange, body)

    def _verified(self, digest: Digest) -> IO[bytes] | None:
        try:
            if not self._blobs.has(digest):
                return None
            with self._blobs.open(digest) as blob:
                # One that is trusted already can be sought; any other is read to the end to be.
                while not blob.seekable() and blob.read(_CHUNK):
                    pass
            return self._blobs.open(digest)
        except BuildError as e:
            if e.code in ("missing-blob", "corrupt-blob"):
                return None
            raise Broken(e.message, e.code, e.hint) from e

    # ------------------------------------------------------------ refusals

    def refuse(self, what: str, error: Broken, *, fatal: bool = True) -> None:
        """Note that something was asked for in vain; a later answer to the same request takes it back."""
        with self._lock:
            if len(self._refused) < _MOST_REFUSED:
                self._refused.setdefault(what, (Refused(what, str(error), fatal, error.hint), error.code))

    @property
    def refused(self) -> Iterable[tuple[Refused, str]]:
        """What was asked for in vain, with the code of its error, in the order of asking."""
        with self._lock:
            return tuple(self._refused.values())

    def failed(self) -> bool:
        """Whether something will never be answered, so that the step need not go on."""
        with self._lock:
            return any(code in _HOPELESS for _, code in self._refused.values())

    def settle(self, *, stop: bool) -> None:
        """Wait for all that is on its way into the store; with `stop` let it break off."""
        if stop:
            self._stopped.set()
        for thread in self._threads:
            thread.join()


_HOPELESS = frozenset(("not-recorded", "body-missing", "body-changed"))


def _close(body: IO[bytes] | None) -> None:
    if body is not None:
        body.close()
