"""Entries, layers and snapshots for tests, in few words."""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from buildtool.layers.compression import compression
from buildtool.layers.entry import Content, Entry, Kind
from buildtool.layers.tar import WrittenLayer, write_layer
from buildtool.layers.tree import Stack
from buildtool.layers.unpack import unpack

EPOCH = 315532800
Pair = tuple[Entry, Content]


def file(path: bytes, data: bytes = b"", **changed: object) -> Pair:
    entry = Entry(path, Kind.FILE, 0o644, 0, 0, EPOCH, len(data))
    return entry._replace(**changed), data  # type: ignore[arg-type]


def folder(path: bytes, **changed: object) -> Pair:
    return Entry(path, Kind.DIR, 0o755, 0, 0, EPOCH)._replace(**changed), None  # type: ignore[arg-type]


def link(path: bytes, target: bytes) -> Pair:
    return Entry(path, Kind.SYMLINK, 0o777, 0, 0, EPOCH, linkname=target), None


def written(entries: Iterable[Pair], name: str | None = None) -> tuple[bytes, WrittenLayer]:
    """The bytes of a layer, and what the writer says of it."""
    out: list[bytes] = []
    layer = write_layer(entries, compression=compression(name) if name else None, sink=out.append)
    return b"".join(out), layer


def snapshot(target: Path, entries: Iterable[Pair], lowers: Sequence[Path] = ()) -> str:
    """A snapshot with these entries, in the new folder `target`."""
    data, layer = written(entries)
    target.mkdir()
    unpack(io.BytesIO(data), str(target), lowers=[str(p) for p in lowers], expect=layer.diff_id)
    return str(target)


def told(lowers: Sequence[Path | str]) -> list[str]:
    """One line for each file of a stack: what it is, in full."""
    rows = []
    with Stack([str(p) for p in lowers]) as stack:
        for path, node in stack.walk():
            entry = node.entry()
            data = ""
            if node.is_file:
                fd = node.open()
                data = repr(os.read(fd, 1000))
                os.close(fd)
            owner = f"{entry.uid}:{entry.gid}"
            rest = f"{entry.linkname.decode()} {entry.major},{entry.minor} {data}"
            rows.append(f"{os.fsdecode(path)} {entry.kind} {entry.mode:o} {owner} {entry.mtime} {rest}")
    return rows
