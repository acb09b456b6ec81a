"""Entries of the index of npm's cache, as cacache writes them."""

import hashlib
import json


def entry(key: str, time: object, integrity: str | None = "sha512-AA==") -> bytes:
    """One entry with the line end before it."""
    text = json.dumps({"key": key, "integrity": integrity, "time": time, "size": 1}).encode()
    return b"\n" + hashlib.sha1(text, usedforsecurity=False).hexdigest().encode() + b"\t" + text
