"""Says how two images differ: which document field, which layer, which path in it, which field of that.

Archives are read with the standard library's `tarfile`, not with the product's
reader, so that one mistake in both writer and reader cannot hide a difference.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from buildtool.layers.decompress import decompressed

#: Lines told of one layer; the rest is counted.
_MOST = 40
_AROUND = 48

Entries = dict[str, dict[str, object]]


def image_difference(first: Path, one: str, second: Path, two: str) -> list[str]:
    """Lines on how manifest `two` of the layout `second` differs from `one` of `first`; none if it does not.

    The manifests are named by digest.
    """
    manifests = [_document(first, one), _document(second, two)]
    configs = [_document(p, m["config"]["digest"]) for p, m in zip((first, second), manifests, strict=True)]
    told = [f"config: {row}" for row in document_difference(configs[0], configs[1])]
    outside = [{k: v for k, v in m.items() if k not in ("layers", "config")} for m in manifests]
    told += [f"manifest: {row}" for row in document_difference(outside[0], outside[1])]
    layers = [m["layers"] for m in manifests]
    for number, (a, b) in enumerate(zip_longest(*layers), 1):
        if a is None or b is None:
            told.append(f"layer {number}: only in the {'first' if b is None else 'second'} image")
        elif a != b:
            rows = list(layer_difference(blob(first, a["digest"]), blob(second, b["digest"])))
            told += [f"layer {number}: {row}" for row in rows[:_MOST]]
            if len(rows) > _MOST:
                told.append(f"layer {number}: and {len(rows) - _MOST} more differences")
    return told


def document_difference(first: object, second: object, at: str = "") -> Iterator[str]:
    """Lines on where two JSON values differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for name in sorted({*first, *second}):
            yield from document_difference(first.get(name), second.get(name), f"{at}.{name}" if at else name)
    elif isinstance(first, list) and isinstance(second, list):
        for number, (a, b) in enumerate(zip_longest(first, second)):
            yield from document_difference(a, b, f"{at}[{number}]")
    elif first != second:
        yield f"{at}: {json.dumps(first)} is {json.dumps(second)} in the second"


def layer_difference(first: bytes, second: bytes) -> Iterator[str]:
    """Lines on how two layer blobs differ, from the outermost form to the innermost."""
    if first == second:
        return
    one, two = (b"".join(decompressed(io.BytesIO(data))) for data in (first, second))
    if one == two:
        yield f"only the compressed bytes differ, from byte {_first_difference(first, second)}"
        return
    before, after = entries(one), entries(two)
    count = 0
    for row in _entries_difference(before, after):
        count += 1
        yield row
    if list(before) != list(after) and not before.keys() ^ after.keys():
        count += 1
        yield f"the order of entries differs: {_first_swapped(list(before), list(after))}"
    if not count:
        yield f"all entries are equal, the archives differ from byte {_first_difference(one, two)}"


def _entries_difference(before: Entries, after: Entries) -> Iterator[str]:
    for path in sorted({*before, *after}):
        if path not in after or path not in before:
            yield f"{path!a}: only in the {'first' if path in before else 'second'} image"
            continue
        a, b = before[path], after[path]
        for field in a:
            if a[field] != b[field]:
                yield f"{path!a}: {field}: {_shown(a[field], b[field])}"


def entries(archive: bytes) -> Entries:
    """Path to fields of every entry of a tar archive, in its order."""
    found: Entries = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", errors="surrogateescape") as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isreg() else None
            found[member.name] = {
                "type": member.type,
                "mode": oct(member.mode),
                "owner": (member.uid, member.gid, member.uname, member.gname),
                "mtime": member.mtime,
                "size": member.size,
                "target": member.linkname,
                "device": (member.devmajor, member.devminor),
                "records": dict(sorted(member.pax_headers.items())),
                "content": data.read() if data is not None else b"",
            }
    return found


def blob(layout: Path, digest: str) -> bytes:
    """The bytes of a blob, which have to have its digest."""
    data = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest, f"{digest} is damaged"
    return data


def _document(layout: Path, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(layout, digest))
    return found


def _shown(first: object, second: object) -> str:
    """Two values of a field; of long bytes, what stands around the first difference."""
    if not isinstance(first, bytes) or not isinstance(second, bytes) or max(len(first), len(second)) < 80:
        return f"{first!r} is {second!r} in the second"
    at = _first_difference(first, second)
    start = max(0, at - _AROUND)
    end = at + _AROUND
    return f"from byte {at}, {first[start:end]!r} is {second[start:end]!r} in the second"


def _first_difference(first: bytes, second: bytes) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))


def _first_swapped(first: list[str], second: list[str]) -> str:
    a, b = next((a, b) for a, b in zip(first, second, strict=True) if a != b)
    return f"{a!a} stands where the second has {b!a}"
