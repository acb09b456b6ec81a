"""Gzip for layers: members of 1 MiB by libdeflate, whose output is the same on every processor.

Each member has the fixed header that libdeflate writes: no name, no time, flags 0,
operating system 255.  Any gzip reader takes the members as one stream.
"""

from buildtool.layers.compression import Compress, Compression

#: 3.1 times smaller at twice the speed of level 6 (see docs/decisions/0012-compression.md).
LEVEL = 4


def _maker() -> Compress:
    from deflate import gzip_compress

    def compress(piece: bytes) -> bytes:
        return bytes(gzip_compress(piece, LEVEL))

    return compress


GZIP = Compression(
    name="gzip",
    library="libdeflate (deflate)",
    version="0.9.0",
    level=LEVEL,
    media_type="application/vnd.oci.image.layer.v1.tar+gzip",
    maker=_maker,
)
