"""The `dir:` transport of skopeo (containers-transports(5)): the files of one image, side by side.

FOLDER/version             "Directory Transport Version: 1.1"
       manifest.json       the manifest, or an index
       <hex>.manifest.json the manifests of an index
       <hex>               configs and layers
"""

import io
import os
from collections.abc import Callable
from typing import BinaryIO

from buildtool.diag import BuildError
from buildtool.digest import hex_of, sha256
from buildtool.oci.export import copy, index_json, oci_layout_json, output_failed, write_whole
from buildtool.oci.layout import FolderFiles, Layout
from buildtool.oci.model import (
    INDEX,
    LARGEST_DOCUMENT,
    MANIFEST,
    Descriptor,
    IndexRecord,
    decode_manifest,
)
from buildtool.store import Blobs

_VERSION = b"Directory Transport Version: 1.1\n"
_TOP = "manifest.json"


class _DirFiles:
    """A folder of that form, seen as a layout."""

    def __init__(self, folder: str) -> None:
        self.name = folder
        self._folder = FolderFiles(folder)
        try:
            file, _ = self._folder.open(_TOP)
        except OSError as exc:
            raise BuildError("bad-layout", f"{folder} holds no image of dir: no {_TOP}") from exc
        with file:
            data = file.read(LARGEST_DOCUMENT + 1)
        self._top = hex_of(sha256(data))
        entry = Descriptor(_type_of(data, folder), sha256(data), len(data))
        self._documents = {"oci-layout": oci_layout_json(), "index.json": index_json([entry])}

    def open(self, path: str) -> tuple[BinaryIO, int]:
        if path in self._documents:
            return io.BytesIO(self._documents[path]), len(self._documents[path])
        name = path.rpartition("/")[2]
        if name == self._top:
            return self._folder.open(_TOP)
        try:
            return self._folder.open(f"{name}.{_TOP}")
        except FileNotFoundError:
            return self._folder.open(name)

    def blobs(self) -> list[str]:
        found = [name.removesuffix(f".{_TOP}") for name in os.listdir(self.name)]
        return sorted({self._top, *(name for name in found if len(name) == 64)})


def open_dir(folder: str) -> Layout:
    """The image in a folder of `dir:`, as a layout; BuildError `bad-layout`, `bad-document`."""
    return Layout(_DirFiles(folder))


def write_dir(folder: str, top: Descriptor, blobs: Blobs) -> None:
    """Write an image or index into a folder, its manifest last; BuildError `output-failed`."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as exc:
        raise output_failed(folder, exc) from exc
    write_whole(f"{folder}/version", _bytes(_VERSION))
    _write(folder, top, blobs, _TOP)


def _write(folder: str, entry: Descriptor, blobs: Blobs, name: str) -> None:
    data = blobs.read(entry.digest, LARGEST_DOCUMENT)
    document = decode_manifest(data, entry.media_type, f"manifest {entry.digest}")
    if isinstance(document, IndexRecord):
        for inner in document.manifests:
            _write(folder, inner, blobs, f"{hex_of(inner.digest)}.{_TOP}")
    else:
        for blob in (document.config, *document.layers):
            _write_blob(f"{folder}/{hex_of(blob.digest)}", blob, blobs)
    write_whole(f"{folder}/{name}", _bytes(data))


def _bytes(data: bytes) -> Callable[[BinaryIO], None]:
    def write(out: BinaryIO) -> None:
        out.write(data)

    return write


def _write_blob(path: str, blob: Descriptor, blobs: Blobs) -> None:
    def write(out: BinaryIO) -> None:
        with blobs.open(blob.digest) as source:
            copy(source, out)

    write_whole(path, write)


def _type_of(data: bytes, folder: str) -> str:
    for kind in (MANIFEST, INDEX):
        try:
            decode_manifest(data, kind, folder)
        except BuildError:
            continue
        return kind
    raise BuildError("bad-document", f"{_TOP} of {folder} is neither a manifest nor an index")
