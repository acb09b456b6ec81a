"""A recording: an answer on its way from the outside into the store, and to whoever waits for it.

    asked ──► head ──► growing ──► whole          broken from any of the first three
                                     └──► stored

One thread receives; any number of readers follow the file as it grows, each at its own
pace, so a client that is slow or goes away neither slows nor spoils what is recorded.  A
reader gets the last byte only when the answer is whole: no client takes a body for
complete that broke off, or that is another one than was expected.
"""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from buildtool.address import public, shown
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.exchanges import Exchange
from buildtool.network.answers import chosen_by, keeps, kept
from buildtool.network.asking import Asking
from buildtool.store import Blobs


class Answer(Protocol):
    """An answer of the outside whose body is still to be received."""

    status: int
    #: The length of the body in bytes as the server says, None where it does not say.
    length: int | None

    def header(self, name: str) -> tuple[str, ...]:
        """The values of a header."""

    def chunks(self) -> Iterable[bytes]:
        """The body; raises Broken if it ends too early."""

    def close(self) -> None:
        """Give up, or end."""


class Broken(Exception):
    """Why there is no answer, or no more of it; `hint` says what to do."""

    def __init__(self, why: str, code: str = "unrecorded-answer", hint: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.hint = hint


class _NotKept(Exception):
    """The answer is not of a kind that is stored."""


@dataclass(frozen=True, slots=True)
class Head:
    """An answer without its body: its `size`, None where it is not known yet, and the headers for clients."""

    status: int
    headers: tuple[tuple[str, str], ...]
    size: int | None


class Recording:
    """The answer to one request; make it, and let a thread `receive` until it ends or `stopped` is set.

    With `expect` only an answer of its status and its body will do.
    """

    def __init__(self, asking: Asking, expect: Exchange | None, stopped: threading.Event) -> None:
        self.asking = asking
        self.expect = expect
        self._stopped = stopped
        self.exchange: Exchange | None = None
        self._head: Head | None = None
        self._received = 0
        self._whole = False
        self._broken: Broken | None = None
        self._fd = -1
        self._readers = 1
        self._changed = threading.Condition()

    # ------------------------------------------------------------ the thread that receives

    def receive(self, ask: Callable[[], Answer], blobs: Blobs, done: Callable[["Recording"], None]) -> None:
        """Ask, store the body, and call `done` once the exchange is known, before readers know the end."""
        answer: Answer | None = None
        try:
            answer = ask()
            self._store(answer, blobs, done)
        except _NotKept:
            pass
        except Broken as e:
            self._break(e)
        except BuildError as e:
            changed = e.code == "digest-mismatch"
            self._break(
                Broken(_CHANGED if changed else e.message, "body-changed" if changed else e.code, e.hint)
            )
        except BaseException as e:
            # Whatever it is, nobody may wait for the rest for ever.
            self._break(Broken(f"{type(e).__name__}: {e}"))
            raise
        finally:
            if answer is not None:
                answer.close()
            self.release()

    def _store(self, answer: Answer, blobs: Blobs, done: Callable[["Recording"], None]) -> None:
        head = _head(self.asking, answer)
        if self.expect is not None and (head.status, head.headers) != (
            self.expect.status,
            self.expect.headers,
        ):
            if head.status != self.expect.status:
                raise Broken(f"{_CHANGED} (it answers {head.status})", "body-changed")
            head = Head(head.status, self.expect.headers, head.size)
        expected = self.expect.body if self.expect is not None else None
        with blobs.writer(expected) as out:
            self._begin(head, out.reader())
            if not _has_body(self.asking.method, head.status):
                self._end(self._exchange(answer, head, head.size or 0, None), done)
                raise _NotKept
            for chunk in answer.chunks():
                if self._stopped.is_set():
                    raise Broken("the build was stopped")
                out.write(chunk)
                self._grow(len(chunk))
            out.seal()
            self._end(self._exchange(answer, head, out.size, out.digest), done)
            if not keeps(head.status):
                raise _NotKept

    def _exchange(self, answer: Answer, head: Head, size: int, body: Digest | None) -> Exchange:
        asking = self.asking
        vary = ", ".join(answer.header("vary"))
        return Exchange(
            asking.method,
            asking.place,
            head.status,
            size,
            body,
            asking.request,
            chosen_by(asking, vary),
            head.headers,
        )

    def _begin(self, head: Head, fd: int) -> None:
        with self._changed:
            self._head, self._fd = head, fd
            self._changed.notify_all()

    def _grow(self, count: int) -> None:
        with self._changed:
            self._received += count
            self._changed.notify_all()

    def _end(self, exchange: Exchange, done: Callable[["Recording"], None]) -> None:
        self.exchange = exchange
        done(self)
        with self._changed:
            self._whole = True
            self._changed.notify_all()

    def _break(self, error: Broken) -> None:
        with self._changed:
            self._broken = error
            self._changed.notify_all()

    # ------------------------------------------------------------ readers

    def follow(self) -> bool:
        """Become a reader; False if the recording is over, its file closed."""
        with self._changed:
            if self._readers == 0:
                return False
            self._readers += 1
            return True

    def release(self) -> None:
        """Stop being a reader."""
        with self._changed:
            self._readers -= 1
            if self._readers == 0 and self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def head(self) -> Head:
        """Wait for the head of the answer; Broken if none comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._head or self._broken)
            if self._head is None:
                assert self._broken is not None
                raise self._broken
            return self._head

    @property
    def error(self) -> Broken | None:
        """Why it broke off, if it did."""
        return self._broken

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on, as soon as there are some; none at the end.  Broken."""

        def available() -> int:
            return self._received - (0 if self._whole else 1) - offset

        with self._changed:
            self._changed.wait_for(lambda: available() > 0 or self._whole or self._broken)
            if available() <= 0 and self._broken is not None:
                raise self._broken
            count = min(count, max(available(), 0))
        return os.pread(self._fd, count, offset) if count else b""


_CHANGED = "what is there now is not what was recorded"


def _head(asking: Asking, answer: Answer) -> Head:
    headers = [
        (name, ", ".join(_written(name, v) for v in values))
        for name in kept(asking.place)
        if (values := answer.header(name))
    ]
    if answer.length is None and _has_body(asking.method, answer.status):
        # How long it is was not known while recording: clients are told as little at replay.
        headers.append(("transfer-encoding", "chunked"))
    return Head(answer.status, tuple(sorted(headers)), answer.length)


def _written(name: str, value: str) -> str:
    """The value of a header as it may be written down."""
    if name == "location":
        return public(value)
    return shown(value) if name == "link" else value


def _has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in (204, 304) and status >= 200
