"""Java's keystores of type JKS, as far as certificates that are trusted go into them and out again.

The format is that of sun.security.provider.JavaKeyStore: a head, entries, and a SHA-1
over a password and all that comes before it.
"""

import hashlib
import struct

_MAGIC = 0xFEEDFEED
_PASSWORD = "changeit"
_SALT = b"Mighty Aphrodite"
_PRIVATE, _TRUSTED = 1, 2
_HEAD = struct.Struct(">III")


class NotAKeystore(Exception):
    """The bytes are no JKS keystore, or one with another password than Java's own."""


def is_keystore(data: bytes) -> bool:
    """Whether the bytes begin as a JKS keystore does."""
    return data[:4] == struct.pack(">I", _MAGIC)


def adding(data: bytes, alias: str, certificate: bytes, instant: int) -> bytes:
    """The keystore with one more trusted certificate (DER), made at `instant` (seconds)."""
    version, entries = _entries(data)
    kind = _text("X.509") if version == 2 else b""
    entry = struct.pack(">I", _TRUSTED) + _text(alias) + struct.pack(">Q", instant * 1000)
    return _joined(version, [*entries, entry + kind + _sized(certificate)])


def removing(data: bytes, certificate: bytes) -> bytes:
    """The keystore without entries that trust the certificate."""
    version, entries = _entries(data)
    return _joined(version, [e for e in entries if not e.endswith(_sized(certificate))])


def _entries(data: bytes) -> tuple[int, list[bytes]]:
    try:
        magic, version, count = _HEAD.unpack_from(data)
        if magic != _MAGIC or version not in (1, 2) or _seal(data[:-20]) != data[-20:]:
            raise NotAKeystore
        found = []
        at = _HEAD.size
        for _ in range(count):
            end = _end(data, at, version)
            found.append(data[at:end])
            at = end
    except struct.error as e:
        raise NotAKeystore from e
    if at != len(data) - 20:
        raise NotAKeystore
    return version, found


def _end(data: bytes, at: int, version: int) -> int:
    """Where the entry that begins at `at` ends."""
    (kind,) = struct.unpack_from(">I", data, at)
    at = _after_text(data, at + 4) + 8
    certificates = 1
    if kind == _PRIVATE:
        at = _after_sized(data, at)
        (certificates,) = struct.unpack_from(">I", data, at)
        at += 4
    elif kind != _TRUSTED:
        raise NotAKeystore
    for _ in range(certificates):
        at = _after_sized(data, _after_text(data, at) if version == 2 else at)
    return at


def _after_text(data: bytes, at: int) -> int:
    return at + 2 + int(struct.unpack_from(">H", data, at)[0])


def _after_sized(data: bytes, at: int) -> int:
    return at + 4 + int(struct.unpack_from(">I", data, at)[0])


def _text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode("ascii")


def _sized(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _joined(version: int, entries: list[bytes]) -> bytes:
    body = _HEAD.pack(_MAGIC, version, len(entries)) + b"".join(entries)
    return body + _seal(body)


def _seal(body: bytes) -> bytes:
    return hashlib.sha1(_PASSWORD.encode("utf-16-be") + _SALT + body).digest()
