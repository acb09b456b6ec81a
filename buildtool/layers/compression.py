"""Compression of a layer: a stream cut into pieces that are compressed each for itself, in parallel.

The compressed layer is the concatenation of the compressed pieces, so it depends
on the bytes alone, never on how many threads made it.  Name, version and
parameters are part of the layer format (docs/design/layer-format.md).
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _queue import SimpleQueue
    from threading import Thread

#: Bytes of the uncompressed stream that one piece holds; the last piece may be shorter.
PIECE = 1 << 20

_MOST_THREADS = 8

Compress = Callable[[bytes], bytes]
Deliver = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Compression:
    """A way to compress layers: `maker` gives a function for the pieces that one thread compresses.

    `library`, `version` and `level` say what makes the bytes; `media_type` is image-spec's.
    """

    name: str
    library: str
    version: str
    level: int
    media_type: str
    maker: Callable[[], Compress]

    def __str__(self) -> str:
        return f"{self.name}: {self.library} {self.version}, level {self.level}, pieces of {PIECE} bytes"


#: The media type of a layer that is not compressed.
TAR_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"


def compression(name: str) -> Compression:
    """The compression of that name, `gzip` or `zstd`; ValueError for another."""
    if name == "gzip":
        from buildtool.layers.gzip import GZIP

        return GZIP
    if name == "zstd":
        from buildtool.layers.zstd import ZSTD

        return ZSTD
    raise ValueError(f"{name!r} is no compression of layers")


class PieceCompressor:
    """Takes pieces in order, gives them to `deliver` compressed and in the same order.

    A stream of one piece is compressed by the caller's own thread: most layers of
    RUN steps are that small, and starting threads would take longer.  `close` ends
    the stream, `abort` gives it up; one of them must be called.
    """

    def __init__(self, how: Compression, deliver: Deliver, threads: int | None = None) -> None:
        self._maker = how.maker
        self._deliver = deliver
        self._wanted = threads or min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        self._first: bytes | None = None
        self._workers: list[Thread] = []
        self._jobs: SimpleQueue[tuple[bytes, SimpleQueue[bytes | BaseException]] | None] | None = None
        self._results: deque[SimpleQueue[bytes | BaseException]] = deque()

    def feed(self, piece: bytes) -> None:
        """Take the next piece; may wait until an earlier one is compressed."""
        if self._jobs is None:
            if self._first is None:
                self._first = piece
                return
            self._start()
            self._submit(self._first)
        self._submit(piece)
        # One more than the threads hold keeps them busy while this thread makes the next piece.
        while len(self._results) > 2 * self._wanted:
            self._deliver_oldest()

    def close(self) -> None:
        """Compress and deliver what is left."""
        if self._jobs is None:
            if self._first is not None:
                self._deliver(self._maker()(self._first))
            return
        try:
            while self._results:
                self._deliver_oldest()
        finally:
            self.abort()

    def abort(self) -> None:
        """End the threads; what was not delivered is lost."""
        if self._jobs is not None:
            for _ in self._workers:
                self._jobs.put(None)
            for worker in self._workers:
                worker.join()
            self._workers.clear()

    def _start(self) -> None:
        from _queue import SimpleQueue
        from threading import Thread

        self._jobs = SimpleQueue()
        for _ in range(self._wanted):
            worker = Thread(target=self._work, args=(self._jobs,), daemon=True, name="compress")
            worker.start()
            self._workers.append(worker)

    def _work(self, jobs: "SimpleQueue[tuple[bytes, SimpleQueue[bytes | BaseException]] | None]") -> None:
        compress = self._maker()
        while (job := jobs.get()) is not None:
            piece, result = job
            try:
                result.put(compress(piece))
            except BaseException as error:
                result.put(error)

    def _submit(self, piece: bytes) -> None:
        from _queue import SimpleQueue

        assert self._jobs is not None
        result: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._results.append(result)
        self._jobs.put((piece, result))

    def _deliver_oldest(self) -> None:
        outcome = self._results.popleft().get()
        if isinstance(outcome, BaseException):
            raise outcome
        self._deliver(outcome)
