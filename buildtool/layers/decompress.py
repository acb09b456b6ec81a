"""Decompression of archives from outside, told by their content, in bounded memory and proportion."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import BinaryIO, Protocol

from buildtool.diag import BuildError

#: Bytes of one chunk.
CHUNK = 1 << 20

#: What an archive may grow by: deflate cannot reach this, so that no gzip is refused for it.
_MOST_RATIO = 1100
_FREE = 1 << 28
_MOST_MEMORY = 1 << 27

_GZIP = b"\x1f\x8b"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a first byte of 0x50 to 0x5f
_MAGIC_LENGTH = 6
_ZSTD_FEED = 1 << 11  # bytes; zstd makes at most 32,768 out of one

_BEFORE_THREAD = 4  # chunks
_AHEAD = 8  # chunks
_PATIENCE = 0.1  # seconds


def decompressed(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes that a gzip, bzip2, xz or zstd stream holds, or those of any other stream as they are.

    Chunks of about CHUNK bytes, never many times more.  BuildError `bad-archive` for a stream that is
    damaged, cut off, followed by something else, or grows beyond proportion
    (1,100 bytes out of one, once there are 256 MiB).
    """
    source = _Counted(stream)
    head = source.peek()
    if head.startswith(_GZIP):
        return _bounded(_zlib(source), source)
    if head.startswith(_BZIP2):
        from bz2 import BZ2Decompressor

        return _bounded(_standard(source, BZ2Decompressor), source)
    if head.startswith(_XZ):
        from lzma import FORMAT_XZ, LZMADecompressor

        def decoder() -> LZMADecompressor:
            return LZMADecompressor(format=FORMAT_XZ, memlimit=_MOST_MEMORY)

        return _bounded(_standard(source, decoder), source)
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F):
        return _bounded(_zstd(source), source)
    return _plain(source)


class _Counted:
    """A stream that counts what was read of it and lets its first bytes be seen."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""
        self.count = 0

    def peek(self) -> bytes:
        while len(self._head) < _MAGIC_LENGTH:
            more = self._stream.read(_MAGIC_LENGTH - len(self._head))
            if not more:
                break
            self._head += more
        return self._head

    def read(self, size: int = CHUNK) -> bytes:
        if self._head:
            data, self._head = self._head, b""
        else:
            data = self._stream.read(size)
        self.count += len(data)
        return data


def _plain(source: _Counted) -> Iterator[bytes]:
    while data := source.read():
        yield data


def _bounded(chunks: Iterator[bytes], source: _Counted) -> Iterator[bytes]:
    made = 0
    try:
        for chunk in chunks:
            made += len(chunk)
            if made > _FREE and made > source.count * _MOST_RATIO:
                raise BuildError(
                    "bad-archive", f"an archive of {source.count:,} bytes grows to more than {made:,} bytes"
                )
            yield chunk
    except Exception as error:
        if _means_damage(error):
            raise BuildError("bad-archive", f"the archive is damaged: {error}") from error
        raise


def _means_damage(error: Exception) -> bool:
    # zlib.error, lzma.LZMAError, zstandard.ZstdError by name: naming them would import their modules.
    # An OSError with a number is the stream's own, one without is bz2's.
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, EOFError | ValueError) or type(error).__name__ in (
        "error",
        "LZMAError",
        "ZstdError",
    )


def _zlib(source: _Counted) -> Iterator[bytes]:
    import zlib

    data = source.read()
    while data:
        member = zlib.decompressobj(31)
        while not member.eof:
            chunk = member.decompress(data, CHUNK)
            if chunk:
                yield chunk
            data = member.unconsumed_tail
            if not data and not member.eof:
                data = source.read()
                if not data:
                    # What the window still holds may end the member.
                    rest = member.flush()
                    if rest:
                        yield rest
                    if not member.eof:
                        raise EOFError("it ends too early")
        data = member.unused_data or source.read()


class _Decoder(Protocol):
    """What the decoders of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _MakeDecoder(Protocol):
    def __call__(self) -> _Decoder: ...


def _standard(source: _Counted, make: _MakeDecoder) -> Iterator[bytes]:
    data = source.read()
    while data:
        part = make()
        while not part.eof:
            if part.needs_input and not data:
                data = source.read()
                if not data:
                    raise EOFError("it ends too early")
            chunk = part.decompress(data, CHUNK)
            data = b""
            if chunk:
                yield chunk
        data = part.unused_data or source.read()
        # xz pads its streams with zeros, four at a time.
        if data and not data.strip(b"\x00"):
            data = b""


def _zstd(source: _Counted) -> Iterator[bytes]:
    from zstandard import ZstdDecompressor

    decoder = ZstdDecompressor(max_window_size=_MOST_MEMORY)
    gathered: list[bytes] = []
    size = 0
    data = source.read()
    while data:
        frame = decoder.decompressobj()
        while not frame.eof:
            if not data and not (data := source.read()):
                raise EOFError("it ends too early")
            # This decoder gives all that its input holds: little of it at a time bounds that.
            gathered.append(frame.decompress(data[:_ZSTD_FEED]))
            data = frame.unused_data + data[_ZSTD_FEED:] if frame.eof else data[_ZSTD_FEED:]
            size += len(gathered[-1])
            if size >= CHUNK:
                yield b"".join(gathered)
                gathered, size = [], 0
        data = data or source.read()
    yield from filter(None, [b"".join(gathered)])


def read_ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same chunks; beyond the first few, made by a thread of its own while the caller uses them.

    Small streams, which end before, need no thread.  Close it to end the thread early.
    """
    for _ in range(_BEFORE_THREAD):
        chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk
    yield from _threaded(chunks)


def _threaded(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    from queue import Empty, Full, Queue
    from threading import Event, Thread

    made: Queue[bytes | BaseException | None] = Queue(_AHEAD)
    stopped = Event()

    def offer(item: bytes | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                made.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return

    def work() -> None:
        try:
            for chunk in chunks:
                if stopped.is_set():
                    return
                offer(chunk)
        except BaseException as error:
            offer(error)
        else:
            offer(None)

    thread = Thread(target=work, daemon=True, name="decompress")
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        with suppress(Empty):
            made.get_nowait()
        thread.join()
