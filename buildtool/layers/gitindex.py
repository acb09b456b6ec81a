"""The index of a git working tree, without what it remembers of the files' inodes.

An entry begins with times, device and inode number of its file (Git's documentation,
"gitformat-index"), by which git knows without reading that a file is unchanged.  They are
another machine's as soon as the tree is in an image; git then compares the content, once.
"""

import hashlib
import struct

#: ctime and mtime (seconds, nanoseconds), device, inode number.
_REMEMBERED = 24
#: What comes before the hash of an entry.
_FIXED = 40
_EXTENDED = 0x4000
_HASHES = {20: "sha1", 32: "sha256"}


def forgetful(index: bytes) -> bytes | None:
    """The index with zeros in the place of times, devices and inode numbers; None if it is no index."""
    if len(index) < 32 or index[:4] != b"DIRC":
        return None
    version, count = struct.unpack_from(">II", index, 4)
    found = next((size for size, name in _HASHES.items() if _sum(index[:-size], name) == index[-size:]), None)
    if found is None or version not in (2, 3, 4):
        return None
    mended = bytearray(index[:-found])
    at = 12
    for _ in range(count):
        if at + _FIXED + found + 2 > len(mended):
            return None
        mended[at : at + _REMEMBERED] = bytes(_REMEMBERED)
        at = _next(mended, at, found, version)
        if at < 0:
            return None
    return bytes(mended) + _sum(mended, _HASHES[found])


def _next(data: bytearray, at: int, hash_size: int, version: int) -> int:
    """Where the entry after the one at `at` begins; -1 if there is no end to it."""
    (flags,) = struct.unpack_from(">H", data, at + _FIXED + hash_size)
    name = at + _FIXED + hash_size + 2 + (2 if version > 2 and flags & _EXTENDED else 0)
    if version == 4:
        # How much of the name before it goes, in a number of variable length.
        while name < len(data) and data[name] & 0x80:
            name += 1
        end = data.find(b"\0", name + 1)
        return end + 1 if end >= 0 else -1
    end = data.find(b"\0", name)
    return at + (end - at + 8) // 8 * 8 if end >= 0 else -1


def _sum(data: bytes | bytearray, name: str) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()
