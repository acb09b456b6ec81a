"""What can be compared: images of layouts and archives, single layers, folders; read as streams.

All of it is foreign: documents and archives are read by the bounded readers of `buildtool.oci`
and `buildtool.layers`, blobs are checked against their digests while they are read.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, cast

from blake3 import blake3

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.layers.decompress import CHUNK, decompressed, read_ahead
from buildtool.layers.tarread import Member, read_members
from buildtool.layers.tree import Stack
from buildtool.oci.layout import Layout
from buildtool.oci.model import ConfigRecord, Descriptor, Manifest
from buildtool.verify.model import Step


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer; `open` gives a new stream of its entries.

    `digest` is that of the blob, which is checked while it is read; empty where nothing promises
    one.  A folder is no `archive`.
    """

    digest: str
    size: int
    media_type: str
    diff_id: str
    open: Callable[[], "Stream"]
    step: Step | None = None
    archive: bool = True

    @property
    def label(self) -> str:
        """The digest that it is known by."""
        return self.digest or self.diff_id or "no digest"


@dataclass(frozen=True, slots=True)
class Image:
    """An image, its documents as bytes; a single layer or a folder has none of them."""

    name: str
    digest: str
    manifest: bytes
    config: bytes
    layers: tuple[Layer, ...]


class Stream:
    """The entries of a layer, in its order; afterwards `digest` (BLAKE3) and `size` of the archive.

    BuildError `bad-archive` for what cannot be read, `corrupt-blob` at the end for other bytes
    than the blob's digest promises.
    """

    def __init__(self, members: Callable[["Stream"], Iterator[Member]]) -> None:
        self._members = members
        self.sum = blake3()
        self.size = 0

    def __iter__(self) -> Iterator[Member]:
        return self._members(self)

    @property
    def digest(self) -> str:
        """The digest of what was read, hexadecimal."""
        return self.sum.hexdigest()

    def add(self, data: bytes) -> None:
        """Count bytes of the archive."""
        self.sum.update(data)
        self.size += len(data)


# ---------------------------------------------------------------- streams


def archive_stream(open_blob: Callable[[], BinaryIO], digest: str) -> Stream:
    """The stream of an archive, compressed or not; with a `digest` the blob is checked against it."""

    def members(stream: Stream) -> Iterator[Member]:
        with open_blob() as blob:
            checked = _Checked(blob)
            with closing(read_ahead(decompressed(cast(BinaryIO, checked)))) as chunks:

                def counted() -> Iterator[bytes]:
                    for chunk in chunks:
                        stream.add(chunk)
                        yield chunk

                parts = counted()
                yield from read_members(parts, inside=True, sparse=True)
                for _ in parts:
                    pass
            checked.finish(digest)

    return Stream(members)


class _Checked:
    """A blob that is hashed while it is read."""

    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob
        self._sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._blob.read(size)
        self._sum.update(data)
        return data

    def finish(self, digest: str) -> None:
        while self.read(CHUNK):
            pass
        if digest and digest != f"sha256:{self._sum.hexdigest()}":
            raise BuildError(
                "corrupt-blob",
                f"the layer {digest} is corrupt: its bytes have another digest",
                hint="copy the image anew",
                exit_status=1,
            )


def _folder_stream(path: str) -> Stream:
    def members(stream: Stream) -> Iterator[Member]:
        with Stack([path]) as stack:
            for name, node in stack.walk():
                entry = node.entry()
                stream.add(repr(entry).encode())
                if not node.is_file:
                    yield Member(entry, b"", {}, None)
                    continue
                with os.fdopen(node.open(), "rb") as file:
                    yield Member(entry._replace(path=name), b"", {}, file)

    return Stream(members)


# ---------------------------------------------------------------- subjects


def of_layout(layout: Layout, descriptor: Descriptor, name: str, places: Sequence[str] = ()) -> Image:
    """An image of a layout, its documents verified; `places` are where its layers' steps are written."""
    manifest = layout.manifest(descriptor)
    assert isinstance(manifest, Manifest)
    record = layout.config(manifest)
    config = layout.read(manifest.config)
    steps = _steps(record, len(manifest.layers), places)
    diff_ids = record.rootfs.diff_ids or ()

    def layer(number: int, blob: Descriptor) -> Layer:
        def stream() -> Stream:
            return archive_stream(lambda: layout.open(blob.digest)[0], blob.digest)

        diff_id = diff_ids[number] if number < len(diff_ids) else ""
        return Layer(blob.digest, blob.size, blob.media_type, diff_id, stream, steps[number])

    layers = tuple(layer(number, blob) for number, blob in enumerate(manifest.layers))
    return Image(name, descriptor.digest, layout.read(descriptor), config, layers)


def of_layer(path: str) -> Image:
    """A layer that lies in a file, compressed or not."""
    try:
        with open(path, "rb") as file:
            digest = Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
            size = file.tell()
    except OSError as exc:
        raise BuildError("no-such-file", f"{path} cannot be read: {exc.strerror}") from exc

    def stream() -> Stream:
        return archive_stream(lambda: open(path, "rb"), digest)

    return Image(path, digest, b"", b"", (Layer(digest, size, "", "", stream),))


def of_folder(path: str) -> Image:
    """A folder of files, as one layer."""
    return Image(path, "", b"", b"", (Layer("", 0, "", "", lambda: _folder_stream(path), archive=False),))


def _steps(record: ConfigRecord, layers: int, places: Sequence[str]) -> list[Step | None]:
    """The step of each layer, where the history tells of as many as there are."""
    made = [entry.created_by for entry in record.history or () if not entry.empty_layer]
    if len(made) != layers:
        return [None] * layers
    # Places are of the steps on top of a base, whose own are not known.
    before = layers - len(places)
    return [Step(text, places[n - before] if n - before >= 0 else "") for n, text in enumerate(made)]
