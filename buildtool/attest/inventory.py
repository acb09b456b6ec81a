"""Inventory: the files of an image, and the packages that their descriptions tell of.

The layers are read as streams, one after the other, each file hashed once; what a later
layer hides or replaces is not there.  Images come from strangers: readers are bounded,
and a description that makes no sense describes nothing.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from buildtool.attest.packages import Package, debian_packages, node_package, python_package
from buildtool.diag import BuildError
from buildtool.layers.entry import Entry, Kind
from buildtool.layers.tarread import read_tar

_CHUNK = 1 << 20
#: Bytes of the largest description that is read.
_LARGEST = 64 << 20

_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"
_DPKG = re.compile(rb"var/lib/dpkg/(status|status\.d/[^/]+)")
_PYTHON = re.compile(rb".*/[^/]+\.(dist-info/METADATA|egg-info/PKG-INFO|egg-info)")
_NODE = re.compile(rb"(.*/)?node_modules/(@[^/]+/)?[^/]+/package\.json")
_RELEASE = (b"etc/os-release", b"usr/lib/os-release")


class File(NamedTuple):
    """A regular file: its path without a slash at the start, its size in bytes, hexadecimal digests."""

    path: bytes
    size: int
    sha1: str
    sha256: str

    @property
    def shown(self) -> str:
        """The path as text."""
        return self.path.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an image holds, in order; `distribution` is `debian-12` or empty."""

    files: tuple[File, ...]
    packages: tuple[Package, ...]
    distribution: str = ""


@dataclass(slots=True)
class _Seen:
    """What is at a path: a file's facts if it is one, and its bytes if they describe something."""

    file: File | None = None
    data: bytes = b""


def inventory(layers: Iterable[BinaryIO]) -> Inventory:
    """The inventory of an image from the archives of its layers, bottom first; BuildError `bad-archive`."""
    tree: dict[bytes, _Seen] = {}
    folders: set[bytes] = set()
    for layer in layers:
        with layer:
            _apply(tree, folders, layer)
    files = [seen.file for _, seen in sorted(tree.items()) if seen.file is not None]
    distribution = _distribution(tree)
    found: dict[str, Package] = {}
    for path, seen in sorted(tree.items()):
        for package in _packages(path, seen.data, distribution):
            found.setdefault(package.purl, package)
    return Inventory(tuple(files), tuple(p for _, p in sorted(found.items())), distribution)


def _apply(tree: dict[bytes, _Seen], folders: set[bytes], layer: BinaryIO) -> None:
    """Lay one layer over the tree (image-spec, "Applying Changesets").

    `folders` are all paths that something was ever below of.
    """
    new: dict[bytes, _Seen] = {}
    gone: set[bytes] = set()
    opaque: set[bytes] = set()
    for entry, content in read_tar(layer, inside=True):
        parent, name = posixpath.split(entry.path)
        if name == _OPAQUE:
            opaque.add(parent)
        elif name.startswith(_WHITEOUT):
            gone.add(posixpath.join(parent, name.removeprefix(_WHITEOUT)))
        else:
            new[entry.path] = _seen(entry, content, new, tree)
            if entry.kind is not Kind.DIR and entry.path in folders:
                gone.add(entry.path)
    while layer.read(_CHUNK):
        pass  # whoever checks what is read wants to see the end
    if gone or opaque:
        for path in [p for p in tree if _is_hidden(p, gone, opaque)]:
            del tree[path]
    tree |= new
    for path in new:
        while (path := posixpath.dirname(path)) and path not in folders:
            folders.add(path)


def _is_hidden(path: bytes, gone: set[bytes], opaque: set[bytes]) -> bool:
    if path in gone or b"" in opaque:
        return True
    while path := posixpath.dirname(path):
        if path in gone or path in opaque:
            return True
    return False


def _seen(entry: Entry, content: BinaryIO | None, new: dict[bytes, _Seen], tree: dict[bytes, _Seen]) -> _Seen:
    if entry.kind is Kind.HARDLINK:
        first = new.get(entry.linkname) or tree.get(entry.linkname)
        if first is None or first.file is None:
            raise BuildError("bad-archive", f"a layer links to {entry.linkname!r}, which is not there")
        return _Seen(first.file._replace(path=entry.path), first.data)
    if content is None:
        return _Seen()
    keeps = _is_description(entry.path) and entry.size <= _LARGEST
    # SPDX asks for SHA-1; it protects nothing here.
    one, two = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    data = bytearray()
    while chunk := content.read(_CHUNK):
        one.update(chunk)
        two.update(chunk)
        if keeps:
            data += chunk
    return _Seen(File(entry.path, entry.size, one.hexdigest(), two.hexdigest()), bytes(data))


# ---------------------------------------------------------------- descriptions


def _is_description(path: bytes) -> bool:
    return path in _RELEASE or any(p.fullmatch(path) for p in (_DPKG, _PYTHON, _NODE))


def _packages(path: bytes, data: bytes, distribution: str) -> Iterator[Package]:
    if not data:
        return
    at = "/" + path.decode("utf-8", "backslashreplace")
    if _DPKG.fullmatch(path):
        yield from debian_packages(data, at, distribution)
        return
    found = None
    if _PYTHON.fullmatch(path):
        found = python_package(data, at)
    elif _NODE.fullmatch(path):
        found = node_package(data, at)
    if found is not None:
        yield found


def _distribution(tree: dict[bytes, _Seen]) -> str:
    """`ID-VERSION_ID` of os-release(5)."""
    for path in _RELEASE:
        if path in tree and tree[path].data:
            rows = tree[path].data.decode("utf-8", "replace").splitlines()
            values = dict(row.partition("=")[::2] for row in rows)
            name, version = (values.get(key, "").strip("\"'") for key in ("ID", "VERSION_ID"))
            return f"{name}-{version}" if version else name
    return ""
