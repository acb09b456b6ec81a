"""Zstandard for layers: frames of 1 MiB, each in one shot, with its size and checksum.

One mode only: streaming and multi-threaded modes of the library give other bytes.
"""

from buildtool.layers.compression import Compress, Compression

LEVEL = 3


def _maker() -> Compress:
    from zstandard import ZstdCompressor

    # A compressor belongs to one thread; one-shot frames do not depend on what it did before.
    return ZstdCompressor(level=LEVEL, threads=0, write_checksum=True, write_content_size=True).compress


ZSTD = Compression(
    name="zstd",
    library="zstandard",
    version="0.25.0",
    level=LEVEL,
    media_type="application/vnd.oci.image.layer.v1.tar+zstd",
    maker=_maker,
)
