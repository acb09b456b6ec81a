"""What a finished build hands over: the entries of an `index.json` and the blobs they need.

An image in the store is named by the digest of its manifest, several platforms
by the digest of their index.  `write_layout` puts them into a folder, the
archives of `buildtool.oci.archive` into one file.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of
from buildtool.graph.model import Platform
from buildtool.oci.convert import platform_record
from buildtool.oci.layout import full_name, open_layout
from buildtool.oci.model import (
    IMAGE_NAME,
    INDEX,
    LARGEST_DOCUMENT,
    REF_NAME,
    Descriptor,
    IndexRecord,
    LayoutRecord,
    Manifest,
    decode_manifest,
    encode,
)
from buildtool.store import Blobs

_CHUNK = 1 << 20
#: How the names of all that a layout folder holds begin, unfinished files too.
_OURS = ("blobs", "oci-layout", "index.json.")


@dataclass(frozen=True, slots=True)
class Export:
    """A manifest or index among a store's blobs, and the names that it goes by.

    `names` are whole (`docker.io/library/app:1.0`) or plain texts (`app`).  An image
    of one platform says which, a referrer its `artifact_type`.  `tag` is a reference name
    as it is, for an image without a whole name.
    """

    digest: Digest
    size: int
    media_type: str
    names: tuple[str, ...] = ()
    platform: Platform | None = None
    artifact_type: str = ""
    tag: str = ""


def entries_of(exports: Sequence[Export]) -> list[Descriptor]:
    """The descriptors of an `index.json`: one a name, or one without a name, in a fixed order.

    As buildx does, the reference name is the tag of the name, and the whole name
    stands in containerd's annotation.
    """
    entries = []
    for export in exports:
        platform = platform_record(export.platform) if export.platform else None
        for name in sorted(export.names) or [""]:
            notes = {IMAGE_NAME: name, REF_NAME: tag_of(name)} if name else None
            if export.tag:
                notes = {REF_NAME: export.tag}
            entry = Descriptor(export.media_type, export.digest, export.size, notes, platform)
            entries.append(msgspec.structs.replace(entry, artifact_type=export.artifact_type))
    return entries


def tag_of(name: str) -> str:
    """The tag of an image's name: what follows the last colon of its last part, else `latest`."""
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return tag.partition("@")[0] if colon and tag else "latest"


def tagged(name: str) -> str:
    """A name with its tag, which `docker load` insists on."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def index_json(entries: Iterable[Descriptor]) -> bytes:
    """The bytes of an `index.json`."""
    return encode(IndexRecord(schema_version=2, media_type=INDEX, manifests=tuple(entries)))


def oci_layout_json() -> bytes:
    """The bytes of an `oci-layout` file."""
    return encode(LayoutRecord("1.0.0"))


def needed(exports: Sequence[Export], blobs: Blobs) -> dict[Digest, int]:
    """Every blob that the exports lead to and its size in bytes, in the order of the digests."""
    found: dict[Digest, int] = {}
    waiting = [(export.digest, export.media_type) for export in exports]
    while waiting:
        digest, media_type = waiting.pop()
        if digest in found:
            continue
        data = blobs.read(digest, LARGEST_DOCUMENT)
        found[digest] = len(data)
        document = decode_manifest(data, media_type, f"manifest {digest}")
        if isinstance(document, Manifest):
            found.update((blob.digest, blob.size) for blob in (document.config, *document.layers))
        else:
            waiting += [(inner.digest, inner.media_type) for inner in document.manifests]
    return dict(sorted(found.items()))


def write_layout(folder: str, exports: Sequence[Export], blobs: Blobs) -> None:
    """Write images into a layout folder, made or added to.

    An entry of the same name is replaced, as is one without a name by one without a
    name; others stay.  Blobs come first and the
    index last, each synced and renamed into place, so that a reader never sees an
    index whose blobs are missing.  BuildError `bad-layout` for a folder that holds
    something else, `output-failed`, and those of the store's blobs.
    """
    sizes = needed(exports, blobs)
    try:
        old = _existing(folder)
        os.makedirs(f"{folder}/blobs/sha256", exist_ok=True)
        for digest in sizes:
            _place_blob(f"{folder}/blobs/sha256/{hex_of(digest)}", digest, blobs)
        new = entries_of(exports)
        index = index_json([*_kept(old, new), *new])
        _place(f"{folder}/oci-layout", oci_layout_json())
        _place(f"{folder}/index.json", index)
    except OSError as exc:
        raise output_failed(folder, exc) from exc


def write_whole(path: str, write_to: Callable[[BinaryIO], None]) -> None:
    """Write a file: complete under its name or not at all, and on disk.

    What exists there and is no regular file (a pipe, a terminal) is written to as it
    is.  BuildError `output-failed`.
    """
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "wb") as out:
                write_to(out)
            return
        unfinished = f"{path}.{secrets.token_hex(4)}"
        try:
            with open(unfinished, "xb") as out:
                write_to(out)
                out.flush()
                os.fsync(out.fileno())
            os.rename(unfinished, path)
        except BaseException:
            _discard(unfinished)
            raise
    except OSError as exc:
        raise output_failed(path, exc) from exc


def output_failed(path: str, exc: OSError) -> BuildError:
    """The error for an output that could not be written."""
    return BuildError("output-failed", f"{path} cannot be written: {exc.strerror}", exit_status=1)


def _existing(folder: str) -> tuple[Descriptor, ...]:
    """The index entries of a folder that is a layout; none for what an interrupted write left."""
    names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if "index.json" not in names and all(name.startswith(_OURS) for name in names):
        return ()
    return open_layout(folder).index().manifests


def _kept(old: Sequence[Descriptor], new: Sequence[Descriptor]) -> list[Descriptor]:
    """The entries of an existing index that no new one takes the place of."""
    names = {_identity(entry) for entry in new}
    return [entry for entry in old if _identity(entry) not in names]


def _identity(entry: Descriptor) -> str:
    """What only one entry of an index may have: its name, or of a referrer the digest."""
    return entry.digest if entry.artifact_type else full_name(entry)


def _place_blob(path: str, digest: Digest, blobs: Blobs) -> None:
    if _holds(path, digest):
        return
    unfinished = f"{path}.{secrets.token_hex(4)}"
    try:
        with open(unfinished, "xb") as out, blobs.open(digest) as blob:
            copy(blob, out)
            out.flush()
            os.fsync(out.fileno())
        os.rename(unfinished, path)
    except BaseException:
        _discard(unfinished)
        raise


def copy(source: BinaryIO, sink: BinaryIO) -> int:
    """All bytes from one file to another; how many."""
    total = 0
    while chunk := source.read(_CHUNK):
        sink.write(chunk)
        total += len(chunk)
    return total


def _holds(path: str, digest: Digest) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == hex_of(digest)
    except FileNotFoundError:
        return False


def _place(path: str, data: bytes) -> None:
    unfinished = f"{path}.{secrets.token_hex(4)}"
    try:
        with open(unfinished, "xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.rename(unfinished, path)
    except BaseException:
        _discard(unfinished)
        raise


def _discard(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
