"""The worker process as the scheduler sees it: specs go in, events and outcomes come out.

Messages are MessagePack behind a length of four bytes, big-endian, over a pair
of pipes.  The process lives in its own mount namespace, and in a user namespace
where we are not root; when its standard input ends, it stops what it does and
ends too, so that it cannot outlive us.
"""

import os
import struct
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from buildtool.executor.work import Event, Outcome, Request, Spec, error_of
from buildtool.sandbox import namespaces

_LENGTH = struct.Struct(">I")
_LONGEST = 256 << 20

Observer = Callable[[Event], None]

#: Whom the machine trusts, for what the worker asks of the outside on behalf of a recorded step
#: (OpenSSL, SSL_CTX_set_default_verify_paths).
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def send(stream: BinaryIO, message: Request | Event) -> None:
    """Write one message; the caller sees to it that no two are written at once."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """The bytes of the next message, or None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > _LONGEST:
        raise ValueError(f"a message of {length} bytes")
    data = stream.read(length)
    return data if len(data) == length else None


class WorkerCrash(Exception):
    """The worker ended or failed in a way that is our own fault; the text is its traceback."""


class _Pending:
    def __init__(self, observe: Observer) -> None:
        self.observe = observe
        self.done = threading.Event()
        self.last: Event | None = None


class WorkerProcess:
    """One worker; `carry_out` may be called from many threads.

    It has the descriptors `pass_fds` under the same numbers.
    """

    def __init__(self, store: str, runtime: str | None, pass_fds: tuple[int, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._count = 0
        self._dead = False
        argv = [sys.executable, "-m", "buildtool.executor.worker", "--serve", store, runtime or ""]
        to_worker, self._ours_out = _pipe()
        self._ours_in, from_worker = _pipe()
        try:
            self._process = namespaces.spawn(
                argv, stdin=to_worker, stdout=from_worker, env=_environment(), pass_fds=pass_fds
            )
        finally:
            os.close(to_worker)
            os.close(from_worker)
        self._out = os.fdopen(self._ours_out, "wb")
        self._in = os.fdopen(self._ours_in, "rb")
        threading.Thread(target=self._read, daemon=True).start()

    def carry_out(self, spec: Spec, observe: Observer) -> Outcome:
        """Have a spec carried out; BuildError as the worker raised it, WorkerCrash if it broke."""
        pending = _Pending(observe)
        with self._lock:
            if self._dead:
                raise WorkerCrash("the worker process has ended")
            self._count += 1
            number = self._count
            self._pending[number] = pending
            send(self._out, Request(number, spec))
        pending.done.wait()
        last = pending.last
        if last is None:
            raise WorkerCrash("the worker process ended in the middle of a step")
        if last.failure is not None:
            raise error_of(last.failure)
        if last.crash is not None:
            raise WorkerCrash(last.crash)
        assert last.outcome is not None
        return last.outcome

    def close(self) -> None:
        """End the worker and what it runs."""
        with self._lock:
            self._dead = True
            try:
                self._out.close()
            except BrokenPipeError:
                pass
        self._process.wait()

    def _read(self) -> None:
        decoder = msgspec.msgpack.Decoder(Event)
        try:
            while (data := receive(self._in)) is not None:
                event = decoder.decode(data)
                with self._lock:
                    pending = self._pending[event.number]
                if event.outcome is None and event.failure is None and event.crash is None:
                    pending.observe(event)
                    continue
                with self._lock:
                    del self._pending[event.number]
                pending.last = event
                pending.done.set()
        finally:
            with self._lock:
                self._dead = True
                left = list(self._pending.values())
                self._pending.clear()
            for pending in left:
                pending.done.set()
            self._in.close()


def _pipe() -> tuple[int, int]:
    return os.pipe2(os.O_CLOEXEC)


def _environment() -> dict[str, str]:
    """The worker's own environment: nothing of ours may reach a step through it."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    # The worker has to be of this very installation, which may be found by this variable alone.
    kept = ("PYTHONPATH", *_AUTHORITIES)
    return environment | {name: os.environ[name] for name in kept if name in os.environ}
