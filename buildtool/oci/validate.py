"""Validation of a layout: every digest, size and diff id worked out again, all mismatches told.

It reads with Python's own decompressors and shares nothing with what wrote the
layers, so that one of them can be wrong without the other.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, parse_digest
from buildtool.oci.layout import Layout
from buildtool.oci.model import (
    CONFIG,
    INDEX,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    ConfigRecord,
    Descriptor,
    IndexRecord,
    Manifest,
    oci_type,
)

_CHUNK = 1 << 20
#: Small, because what follows the end of a member is copied for each of them.
_GZIP_CHUNK = 1 << 16
#: Bytes of the largest layer that is unpacked to be checked: 1 TiB.
_LARGEST_LAYER = 1 << 40
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a layout; `code` is stable, `subject` is a digest or a file of the layout."""

    code: str
    subject: str
    message: str


def validate(layout: Layout) -> list[Problem]:
    """All problems of a layout, in a fixed order; an empty list for a sound one.

    Codes: `missing-blob`, `wrong-digest`, `wrong-size`, `wrong-diff-id`,
    `wrong-compression`, `bad-document`, `ambiguous-manifest`, `bad-digest`,
    `layer-count`, `history-count`, `wrong-platform`, `unknown-type`, `stray-file`.
    """
    try:
        index = layout.index()
    except BuildError as exc:
        return [Problem(exc.code, "index.json", exc.message)]
    return _Validation(layout).everything(index)


def validate_image(layout: Layout, entry: Descriptor) -> list[Problem]:
    """All problems of what one descriptor leads to: documents, config and layers."""
    validation = _Validation(layout)
    validation.manifest(entry, 0)
    return list(dict.fromkeys(validation.problems))


class _Validation:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.problems: list[Problem] = []
        # What a blob's bytes are, worked out once: base layers are shared by many images.
        self.sums: dict[Digest, tuple[str, int]] = {}
        self.diff_ids: dict[Digest, str] = {}

    def everything(self, index: IndexRecord) -> list[Problem]:
        for entry in index.manifests:
            self.manifest(entry, 0)
        for name in self.layout.files.blobs():
            try:
                digest = parse_digest(f"sha256:{name}")
            except BuildError:
                self.tell("stray-file", f"blobs/sha256/{name}", "its name is not a digest")
                continue
            self.content(digest)
        return list(dict.fromkeys(self.problems))

    def tell(self, code: str, subject: str, message: str) -> None:
        self.problems.append(Problem(code, subject, message))

    # ------------------------------------------------------------ blobs

    def content(self, digest: Digest) -> tuple[str, int] | None:
        """The real hexadecimal digest and size of a blob; tells what is wrong with it."""
        if digest not in self.sums:
            try:
                file, _ = self.layout.open(digest)
            except BuildError as exc:
                self.tell(exc.code, digest, exc.message)
                return None
            total, size = hashlib.sha256(), 0
            with file:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
                    size += len(chunk)
            self.sums[digest] = (total.hexdigest(), size)
            if total.hexdigest() != hex_of(digest):
                self.tell("wrong-digest", digest, f"its bytes have the digest sha256:{total.hexdigest()}")
        return self.sums[digest]

    def blob(self, descriptor: Descriptor) -> bool:
        """Whether the blob of a descriptor is what it should be."""
        try:
            digest = parse_digest(descriptor.digest)
        except BuildError as exc:
            self.tell(exc.code, descriptor.digest[:100], exc.message)
            return False
        found = self.content(digest)
        if found is None:
            return False
        if found[1] != descriptor.size:
            self.tell("wrong-size", digest, f"it has {found[1]} bytes, its descriptor says {descriptor.size}")
        return found == (hex_of(digest), descriptor.size)

    # ------------------------------------------------------------ documents

    def manifest(self, entry: Descriptor, depth: int) -> None:
        kind = oci_type(entry.media_type)
        if kind not in (MANIFEST, INDEX):
            self.tell("unknown-type", entry.digest[:100], f"its type is {entry.media_type[:100]!r}")
            return
        if depth > _DEEPEST:
            self.tell("bad-document", entry.digest, f"indexes are more than {_DEEPEST} deep")
            return
        if not self.blob(entry):
            return
        try:
            document = self.layout.manifest(entry)
            if isinstance(document, IndexRecord):
                for inner in document.manifests:
                    self.manifest(inner, depth + 1)
            else:
                self.image(entry, document)
        except BuildError as exc:
            self.tell(exc.code, entry.digest, exc.message)

    def image(self, entry: Descriptor, manifest: Manifest) -> None:
        whole = [self.blob(part) for part in (manifest.config, *manifest.layers)]
        if oci_type(manifest.config.media_type) != CONFIG:
            # An artifact: its blobs are all that is known about it.
            return
        if not whole[0]:
            return
        config = self.layout.config(manifest)
        self.counts(manifest, config)
        said = entry.platform
        real = (config.os, config.architecture, config.variant)
        if said is not None and (said.os, said.architecture, said.variant) != real:
            self.tell("wrong-platform", entry.digest, f"its config says {'/'.join(p for p in real if p)}")
        diff_ids = config.rootfs.diff_ids or ()
        for layer, sound, diff_id in zip(manifest.layers, whole[1:], diff_ids, strict=False):
            if sound:
                self.layer(layer, diff_id)

    def counts(self, manifest: Manifest, config: ConfigRecord) -> None:
        layers, diff_ids = len(manifest.layers), len(config.rootfs.diff_ids or ())
        if layers != diff_ids:
            self.tell("layer-count", manifest.config.digest, f"{diff_ids} diff ids for {layers} layers")
        filled = sum(not entry.empty_layer for entry in config.history or ())
        if config.history and filled != layers:
            self.tell(
                "history-count", manifest.config.digest, f"a history of {filled} layers for {layers} layers"
            )

    def layer(self, layer: Descriptor, diff_id: Digest) -> None:
        kind = oci_type(layer.media_type)
        if kind not in (LAYER, LAYER_GZIP, LAYER_ZSTD):
            self.tell("unknown-type", layer.digest, f"its type is {layer.media_type[:100]!r}")
            return
        if layer.digest not in self.diff_ids:
            file, _ = self.layout.open(layer.digest)
            try:
                with file:
                    self.diff_ids[layer.digest] = _diff_id(file, kind)
            except (ValueError, zlib.error) as exc:
                self.tell("wrong-compression", layer.digest, f"it is not {kind.rpartition('.')[2]}: {exc}")
                return
        if self.diff_ids[layer.digest] != diff_id:
            self.tell("wrong-diff-id", layer.digest, f"{self.diff_ids[layer.digest]}, not {diff_id}")


def _diff_id(file: BinaryIO, kind: str) -> str:
    """The digest of a layer's tar; ValueError or zlib.error for what is not compressed as `kind` says."""
    total, size = hashlib.sha256(), 0
    for part in _unpacked(file, kind):
        size += len(part)
        if size > _LARGEST_LAYER:
            raise ValueError(f"it unpacks to more than {_LARGEST_LAYER} bytes")
        total.update(part)
    return f"sha256:{total.hexdigest()}"


def _unpacked(file: BinaryIO, kind: str) -> Iterator[bytes]:
    if kind == LAYER_GZIP:
        yield from _gunzip(file)
    elif kind == LAYER_ZSTD:
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
                while part := reader.read(_CHUNK):
                    yield part
        except zstandard.ZstdError as exc:
            raise ValueError(str(exc)) from exc
    else:
        while part := file.read(_CHUNK):
            yield part


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """Every member of a gzip file (RFC 1952, 2.2), a bounded piece at a time."""
    waiting = file.read(_GZIP_CHUNK)
    while waiting:
        member = zlib.decompressobj(31)
        while not member.eof:
            part = member.decompress(waiting, _CHUNK)
            waiting = member.unconsumed_tail
            yield part
            if not waiting and not member.eof:
                waiting = file.read(_GZIP_CHUNK)
                if not waiting and not part:
                    raise ValueError("it is cut off")
        waiting = member.unused_data or file.read(_GZIP_CHUNK)
