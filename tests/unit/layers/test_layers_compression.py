"""Compression: pinned output, independence of threads, and what stock readers make of it."""

import dataclasses
import gzip
import hashlib
import io
import threading

import pytest
import zstandard

from buildtool.layers.compression import PIECE, PieceCompressor, compression
from buildtool.layers.tar import write_layer
from tests.support.layers import file, written

#: sha256 of what `sample` compresses to.  If one of these moves, the layer format has changed.
PINNED = {
    "gzip": "9e2c6af08fdde8939334b8b94a9125ea1245a9f9eb96ef1d6b92a74db619ba7e",
    "zstd": "049c80044b8bff51dc017d19dc85678d1caf9b508df33200c233e5f39f9a218f",
}


def sample() -> bytes:
    """3.5 MiB that are neither random nor all alike, the same everywhere."""
    out, state = bytearray(), b"buildtool"
    while len(out) < 3 * PIECE + PIECE // 2:
        state = hashlib.sha256(state).digest()
        out += state[:8] + state.hex().encode() * (state[0] % 5) + bytes(state[1] % 64)
    return bytes(out[: 3 * PIECE + PIECE // 2])


def compressed(data: bytes, name: str, threads: int) -> bytes:
    out: list[bytes] = []
    stream = PieceCompressor(compression(name), out.append, threads)
    for start in range(0, len(data), PIECE):
        stream.feed(data[start : start + PIECE])
    stream.close()
    return b"".join(out)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_the_output_is_pinned_whatever_the_threads(name):
    outputs = {hashlib.sha256(compressed(sample(), name, threads)).hexdigest() for threads in (1, 2, 5)}
    assert outputs == {PINNED[name]}


def test_the_standard_library_reads_the_gzip():
    data = compressed(sample(), "gzip", 2)
    assert gzip.decompress(data) == sample()
    assert data[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_zstandard_reads_the_frames():
    data = compressed(sample(), "zstd", 2)
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    assert reader.read() == sample()


def test_a_member_holds_one_mebibyte():
    data, layer = written([file(b"f", bytes(2 * PIECE))], "gzip")
    assert data.count(bytes.fromhex("1f8b08000000000000ff")) == 3
    assert layer.compressed_size == len(data)
    assert layer.digest == "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_small_layer_starts_no_thread(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    written([file(b"f", b"small")], "gzip")


def test_an_error_in_a_thread_comes_out_and_ends_the_threads():
    def broken():
        def compress(piece: bytes) -> bytes:
            raise MemoryError("no more")

        return compress

    how = dataclasses.replace(compression("gzip"), maker=broken)
    before = threading.active_count()
    with pytest.raises(MemoryError):
        write_layer([file(b"f", bytes(9 * PIECE))], compression=how)
    assert threading.active_count() == before


def test_a_sink_that_fails_ends_the_threads():
    def sink(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    before = threading.active_count()
    with pytest.raises(OSError, match="No space"):
        write_layer([file(b"f", bytes(9 * PIECE))], compression=compression("gzip"), sink=sink)
    assert threading.active_count() == before


def test_an_unknown_compression_is_an_error():
    with pytest.raises(ValueError, match="lz4"):
        compression("lz4")
