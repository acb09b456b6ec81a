"""Archives of `docker save` ("Docker Image Specification v1.2"), seen as image layouts.

Their `manifest.json` names for each image a config and layers by their paths in
the archive; there is no manifest with digests.  One is made up: the config stays
byte for byte, so that the image keeps its id, and the layers stay as they are.
A layer that is a plain tar has its diff id for a digest, so nothing has to be read
to know it, and whoever copies it checks it.
"""

import hashlib
import io
import posixpath
from typing import Any, BinaryIO

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, parse_digest, sha256
from buildtool.oci.archive import ArchiveFiles
from buildtool.oci.export import index_json, oci_layout_json, tag_of
from buildtool.oci.model import (
    CONFIG,
    IMAGE_NAME,
    LARGEST_DOCUMENT,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    REF_NAME,
    ConfigRecord,
    Descriptor,
    Manifest,
    decode,
    encode,
)

_COMPRESSED = {b"\x1f\x8b": LAYER_GZIP, b"\x28\xb5\x2f\xfd": LAYER_ZSTD}


class _Row(msgspec.Struct, rename="pascal"):
    """An image of `manifest.json`: paths in the archive, lowest layer first."""

    config: str
    layers: tuple[str, ...]
    repo_tags: tuple[str, ...] | None = None


class DockerArchiveFiles:
    """The files of the layout that an archive amounts to; BuildError `bad-layout`, `bad-document`."""

    def __init__(self, archive: ArchiveFiles) -> None:
        self.name = archive.name
        self._archive = archive
        self._documents = {"oci-layout": oci_layout_json()}
        self._paths: dict[str, str] = {}
        entries = [entry for row in self._rows() for entry in self._image(row)]
        self._documents["index.json"] = index_json(entries)

    def open(self, path: str) -> tuple[BinaryIO, int]:
        if path in self._documents:
            data = self._documents[path]
            return io.BytesIO(data), len(data)
        if path not in self._paths:
            raise FileNotFoundError(path)
        return self._archive.open(self._paths[path])

    def blobs(self) -> list[str]:
        names = (posixpath.split(path) for path in (*self._documents, *self._paths))
        return sorted(name for folder, name in names if folder)

    def _rows(self) -> list[_Row]:
        try:
            return msgspec.json.decode(self._read("manifest.json"), type=list[_Row])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            raise BuildError(
                "bad-document", f"manifest.json of {self.name} is not what it should be: {exc}"
            ) from exc

    def _image(self, row: _Row) -> list[Descriptor]:
        """The entries of an image, one a name."""
        data = self._read(row.config)
        config = decode(data, ConfigRecord, f"config {row.config[:100]!r} of {self.name}")
        diff_ids = config.rootfs.diff_ids or ()
        if len(diff_ids) != len(row.layers):
            raise BuildError(
                "bad-document",
                f"{self.name}: an image has {len(row.layers)} layers, its config {len(diff_ids)}",
            )
        layers = [self._layer(p, parse_digest(d)) for p, d in zip(row.layers, diff_ids, strict=True)]
        self._paths[_blob(sha256(data))] = row.config
        manifest = encode(
            Manifest(
                schema_version=2,
                media_type=MANIFEST,
                config=Descriptor(CONFIG, sha256(data), len(data)),
                layers=tuple(layers),
            )
        )
        self._documents[_blob(sha256(manifest))] = manifest
        found = Descriptor(MANIFEST, sha256(manifest), len(manifest))
        notes: list[dict[str, str] | None] = [
            {IMAGE_NAME: name, REF_NAME: tag_of(name)} for name in row.repo_tags or ()
        ]
        return [msgspec.structs.replace(found, annotations=note) for note in notes or [None]]

    def _layer(self, path: str, diff_id: Digest) -> Descriptor:
        file, size = self._open(path)
        with file:
            head = file.read(4)
            kind = next((k for magic, k in _COMPRESSED.items() if head.startswith(magic)), LAYER)
            digest = diff_id if kind == LAYER else _digest_of(head, file)
        self._paths[_blob(digest)] = path
        return Descriptor(kind, digest, size)

    def _read(self, path: str) -> bytes:
        file, _ = self._open(path)
        with file:
            data = file.read(LARGEST_DOCUMENT + 1)
        if len(data) > LARGEST_DOCUMENT:
            raise BuildError("bad-document", f"{path[:100]!r} of {self.name} is too large for a document")
        return data

    def _open(self, path: str) -> tuple[BinaryIO, int]:
        try:
            return self._archive.open(path)
        except FileNotFoundError:
            raise BuildError(
                "bad-layout", f"{self.name} names {path[:100]!r}, which it does not hold"
            ) from None


def _digest_of(head: bytes, rest: Any) -> Digest:
    total = hashlib.sha256(head)
    while chunk := rest.read(1 << 20):
        total.update(chunk)
    return Digest(f"sha256:{total.hexdigest()}")


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"
