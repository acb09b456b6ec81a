"""Images of registries as sources of the graph: what `FROM` begins with.

Manifest and config are brought to the store; layers are not touched until a step
needs their files, or the finished image their blobs.
"""

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Image, ImageSource, Origin, Platform
from buildtool.oci.model import LARGEST_DOCUMENT, Descriptor, Manifest, decode_manifest
from buildtool.oci.source import image_of_documents
from buildtool.reference import Reference
from buildtool.registry.client import Registries
from buildtool.registry.pull import Advance, Puller
from buildtool.registry.reference import parse_reference
from buildtool.registry.repository import type_of
from buildtool.store import Blobs

#: What `ImageSource.location` begins with for an image of a registry.
LOCATION = "docker://"


def find_image(registries: Registries, reference: Reference, blobs: Blobs, platform: Platform) -> Digest:
    """The manifest of the image that a reference means today on a platform; it is in the store then."""
    puller = Puller(registries, reference, blobs)
    return puller.choose(puller.document(), platform).digest


def base_image(
    registries: Registries,
    reference: Reference,
    manifest: Digest,
    blobs: Blobs,
    *,
    origin: Origin | None = None,
) -> Image:
    """The image of a manifest as a step of the graph; BuildErrors of `Puller`, and `bad-document`."""
    pinned = reference.at(manifest)
    puller = Puller(registries, pinned, blobs)
    document = puller.manifest(puller.document())
    if not isinstance(document, Manifest):
        raise BuildError("bad-document", f"{pinned} is an index, not the image of one platform")
    config = puller.config(document)
    return image_of_documents(
        manifest, document, config, f"{LOCATION}{pinned}", str(reference), origin=origin
    )


def config_of(blobs: Blobs, manifest: Digest) -> Digest:
    """The config of an image whose manifest is in the store; BuildError `bad-document`."""
    data = blobs.read(manifest, LARGEST_DOCUMENT)
    document = decode_manifest(data, type_of(data, str(manifest)), str(manifest))
    if not isinstance(document, Manifest):
        raise BuildError("bad-document", f"{manifest} is an index, not the image of one platform")
    return document.config.digest


class RegistryLayers:
    """Brings layers of images whose location is a registry (`archives.fetch.LayerFetcher`)."""

    def __init__(self, registries: Registries, blobs: Blobs) -> None:
        self._registries = registries
        self._blobs = blobs

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob of an image among the blobs."""
        reference = parse_reference(step.location.removeprefix(LOCATION))
        layer = next(layer for layer in step.layers if layer.digest == digest)
        blob = Descriptor(layer.media_type, layer.digest, layer.size)
        Puller(self._registries, reference, self._blobs).blob(blob, advance)
