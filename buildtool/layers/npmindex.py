"""The index of npm's cache, whose files list what was fetched in the order in which it happened to come.

A file ("bucket") is the entries of one hash of keys, each a line `SHA-1 TAB JSON` after a line
end; of several entries of a key the last one counts (cacache, `lib/entry-index.js`).  npm asks for
many things at once, for some twice, so one entry may stand there once or twice, or two in either order.
"""

import hashlib
import json


def settled(bucket: bytes) -> bytes | None:
    """The bucket with each entry once, in the order of time and bytes; None if it is none, or has removals.

    A removal is an entry without integrity, which undoes those before it: their order has a meaning.
    """
    entries = set()
    for line in bucket.split(b"\n")[1:] if bucket.startswith(b"\n") else ():
        time = _time(line)
        if time is None:
            return None
        entries.add((time, line))
    return b"".join(b"\n" + line for _, line in sorted(entries)) or None


def _time(line: bytes) -> int | None:
    """When an entry was added, in milliseconds; None if it is no entry that stands for something."""
    digest, tab, text = line.partition(b"\t")
    if not tab or hashlib.sha1(text, usedforsecurity=False).hexdigest().encode() != digest:
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("integrity"), str):
        return None
    time = entry.get("time")
    return time if type(time) is int else None
