"""Digests of content, and the one canonical encoding that keys are made of.

A `Digest` is the text `sha256:` and 64 lower-case hexadecimal digits (OCI
image-spec, "Digests").  It is checked where it enters, so that it can never act
as a path.  Keys are BLAKE3 over `canonical`; they stay inside this tool.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import NewType, TypeAlias

from blake3 import blake3

from buildtool.diag import BuildError

Digest = NewType("Digest", str)
Key = NewType("Key", str)

#: What a canonical encoding is made of.
Plain: TypeAlias = "None | bool | int | str | bytes | tuple[Plain, ...] | list[Plain] | Mapping[str, Plain]"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def parse_digest(text: str) -> Digest:
    """The digest that `text` spells; BuildError `bad-digest` for anything else."""
    if not _DIGEST.fullmatch(text):
        raise BuildError(
            "bad-digest",
            f"{text[:100]!r} is not a digest",
            hint="a digest is sha256: and 64 hexadecimal digits",
        )
    return Digest(text)


def sha256(data: bytes) -> Digest:
    """The digest of some bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def hex_of(digest: Digest) -> str:
    """The hexadecimal part of a digest, fit to be a file name."""
    return digest[7:]


def key_of(value: Plain) -> Key:
    """The key of a plain value: BLAKE3, 256 bits, hexadecimal."""
    return Key(blake3(canonical(value)).hexdigest())


def canonical(value: Plain) -> bytes:
    """The one byte string that stands for `value`.

    A value is a letter for its type, its length in decimal, a colon, and its
    bytes: `n0:` None, `t0:` True, `f0:` False, `i2:42`, `s3:abc` (UTF-8 with lone
    surrogates kept, so that any file name has an encoding), `b3:...` bytes,
    `l<count>:` followed by the items, `m<count>:` followed by names and values in
    the bytewise order of the names.  No two values share an encoding.
    """
    out = bytearray()
    _encode(value, out)
    return bytes(out)


def _encode(value: Plain, out: bytearray) -> None:
    if value is None:
        out += b"n0:"
    elif value is True:
        out += b"t0:"
    elif value is False:
        out += b"f0:"
    elif isinstance(value, int):
        _atom(b"i", str(value).encode(), out)
    elif isinstance(value, str):
        _atom(b"s", value.encode("utf-8", "surrogatepass"), out)
    elif isinstance(value, bytes):
        _atom(b"b", value, out)
    elif isinstance(value, tuple | list):
        out += b"l%d:" % len(value)
        for item in value:
            _encode(item, out)
    elif isinstance(value, Mapping):
        out += b"m%d:" % len(value)
        for name, raw in sorted((n.encode("utf-8", "surrogatepass"), n) for n in value):
            _atom(b"s", name, out)
            _encode(value[raw], out)
    else:
        raise TypeError(f"{type(value).__name__} has no canonical encoding")


def _atom(kind: bytes, data: bytes, out: bytearray) -> None:
    out += b"%b%d:" % (kind, len(data))
    out += data
