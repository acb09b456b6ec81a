"""Pulling: an image from a registry into the blobs of a store, every byte verified.

Layers are transferred side by side.  A blob is written under its name only once its
digest and size are right, so that whatever stops a pull leaves nothing that is wrong,
and a second one goes on with what is missing.  URLs of foreign layers are not followed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Platform
from buildtool.oci.model import (
    CONFIG,
    LARGEST_DOCUMENT,
    MANIFEST,
    ConfigRecord,
    Descriptor,
    IndexRecord,
    Manifest,
    decode,
    decode_manifest,
    oci_type,
)
from buildtool.oci.platforms import fit
from buildtool.reference import Reference
from buildtool.registry.client import Registries, every_place
from buildtool.registry.fault import Fault
from buildtool.registry.repository import Document, Repository, type_of
from buildtool.store import Blobs
from buildtool.tally import Tally

Advance = Callable[[int, int | None], None]

#: Transfers at once: Docker's default.
PARALLEL = 4
#: Indexes within indexes that are followed.
_DEEPEST = 4
_MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was pulled: the manifest or index, and the bytes that had to be transferred."""

    descriptor: Descriptor
    transferred: int


class Puller:
    """Pulls images of one reference's repository into a store; asks nobody for what is there."""

    def __init__(self, registries: Registries, reference: Reference, blobs: Blobs) -> None:
        self.reference = reference
        self._registries = registries
        self._blobs = blobs

    def document(self, digest: Digest | None = None) -> Descriptor:
        """Bring the manifest or index that the reference means (or that `digest` names); its descriptor.

        Documents that the store has under their digest are not asked for again.
        """
        wanted = digest or self.reference.digest
        if wanted is not None and self._blobs.has(wanted):
            data = self._blobs.read(wanted, LARGEST_DOCUMENT)
            return Descriptor(type_of(data, str(wanted)), wanted, len(data))
        reference = self.reference.at(wanted) if wanted else self.reference
        document: Document = self._registries.document(reference)
        self._decode(document.descriptor, document.data)
        self._blobs.put(document.data)
        return document.descriptor

    def choose(self, top: Descriptor, platform: Platform) -> Descriptor:
        """Of an index, the manifest of the image that fits a platform best; a manifest is itself.

        BuildError `no-such-platform`.
        """
        images = list(self._images(top, 0))
        if images == [top]:
            return top
        ranked = [(fit(platform, self.platform(image)), -n) for n, image in enumerate(images)]
        best, number = max(ranked, default=(0, 0))
        if best <= 0:
            there = sorted({str(self.platform(image)) for image in images})
            raise BuildError(
                "no-such-platform",
                f"{self.reference} has no image for {platform}",
                hint=f"it has {', '.join(there)}" if there else "",
            )
        return self.document_of(images[-number])

    def document_of(self, descriptor: Descriptor) -> Descriptor:
        """Bring the document of a descriptor, and hold it against its size."""
        found = self.document(descriptor.digest)
        if found.size != descriptor.size:
            raise BuildError(
                "bad-document",
                f"{self.reference}: {found.digest} has {found.size} bytes, not {descriptor.size}",
                exit_status=1,
            )
        return Descriptor(descriptor.media_type or found.media_type, found.digest, found.size)

    def manifest(self, descriptor: Descriptor) -> Manifest | IndexRecord:
        """A document that was brought."""
        return self._decode(descriptor, self._blobs.read(descriptor.digest, LARGEST_DOCUMENT))

    def config(self, manifest: Manifest) -> ConfigRecord:
        """Bring the config document of an image; BuildError `no-such-image` for other artifacts."""
        kind = manifest.config.media_type
        if oci_type(kind) != CONFIG:
            raise BuildError(
                "no-such-image", f"{self.reference}: an artifact of type {kind!r} is not an image"
            )
        self.blob(manifest.config)
        data = self._blobs.read(manifest.config.digest, LARGEST_DOCUMENT)
        return decode(data, ConfigRecord, f"the config of {self.reference}")

    def platform(self, image: Descriptor) -> Platform:
        """The platform of an image: its descriptor's, else its config's."""
        if (said := image.platform) is not None:
            return Platform(said.os, said.architecture, said.variant)
        manifest = self.manifest(self.document_of(image))
        assert isinstance(manifest, Manifest)
        config = self.config(manifest)
        return Platform(config.os, config.architecture, config.variant)

    def everything(self, top: Descriptor, advance: Advance) -> Pulled:
        """Bring all that a manifest or index leads to."""
        missing: dict[Digest, Descriptor] = {}
        for image in self._images(top, 0, attestations=True):
            manifest = self.manifest(self.document_of(image))
            assert isinstance(manifest, Manifest)
            for blob in (manifest.config, *manifest.layers):
                if not self._blobs.has(blob.digest):
                    missing[blob.digest] = blob
        transfer(tuple(missing.values()), self.blob, advance)
        return Pulled(top, sum(blob.size for blob in missing.values()))

    def blob(self, blob: Descriptor, advance: Advance = lambda done, total: None) -> None:
        """Bring a blob from the first place that serves its bytes."""
        if self._blobs.has(blob.digest):
            return
        faults: list[tuple[Repository, Fault]] = []
        for repository in self._registries.reading(self.reference):
            try:
                with self._blobs.writer(blob.digest) as out:
                    repository.read_blob(blob, out.write, advance)
                return
            except Fault as fault:
                faults.append((repository, fault))
            except BuildError as error:
                if error.code != "digest-mismatch":
                    raise
                other = Fault(f"{repository.place.address} serves other bytes than {blob.digest}")
                faults.append((repository, other))
        raise every_place(faults, f"cannot get a blob of {self.reference}")

    def _images(self, entry: Descriptor, depth: int, *, attestations: bool = False) -> Sequence[Descriptor]:
        """The images that an entry leads to, their indexes brought."""
        found = self.manifest(self.document_of(entry))
        if isinstance(found, Manifest):
            return [entry]
        if depth == _DEEPEST:
            raise BuildError("bad-document", f"{self.reference} has indexes more than {_DEEPEST} deep")
        images: list[Descriptor] = []
        for inner in found.manifests:
            if not attestations and inner.platform is not None and inner.platform.os == "unknown":
                continue
            if oci_type(inner.media_type) == MANIFEST:
                images.append(inner)
            else:
                images += self._images(inner, depth + 1, attestations=attestations)
            if len(images) > _MOST_IMAGES:
                raise BuildError("bad-document", f"{self.reference} has more than {_MOST_IMAGES} images")
        return images

    def _decode(self, descriptor: Descriptor, data: bytes) -> Manifest | IndexRecord:
        return decode_manifest(data, descriptor.media_type, f"{self.reference} ({descriptor.digest})")


def transfer(
    blobs: Sequence[Descriptor], move: Callable[[Descriptor, Advance], None], advance: Advance
) -> None:
    """Move blobs side by side, the largest first; the first failure stops those that have not begun."""
    from concurrent.futures import ThreadPoolExecutor

    if not blobs:
        return
    tally = Tally(sum(blob.size for blob in blobs), advance)
    ordered = sorted(blobs, key=lambda blob: -blob.size)
    with ThreadPoolExecutor(min(PARALLEL, len(ordered))) as pool:
        moves = [pool.submit(move, blob, tally.of(blob.digest)) for blob in ordered]
        try:
            for done in moves:
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
