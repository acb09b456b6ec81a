"""Referrers: manifests that tell of another one, their subject (image-spec, "Artifacts"; distribution-spec).

A referrer has one blob and no config to speak of.  In a layout it stands in `index.json`
without a name, so that a reader who asks for an image by its name never meets it.
"""

from collections.abc import Iterator

from buildtool.digest import Digest, sha256
from buildtool.oci.layout import Layout
from buildtool.oci.model import MANIFEST, Descriptor, Manifest, encode
from buildtool.store import Blobs

_EMPTY = "application/vnd.oci.empty.v1+json"
_NOTHING = b"{}"


def referrer(
    blobs: Blobs,
    subject: Descriptor,
    artifact_type: str,
    data: bytes,
    annotations: dict[str, str] | None = None,
) -> Descriptor:
    """Put a blob and the manifest that ties it to its subject among the blobs; the manifest's descriptor."""
    for blob in (_NOTHING, data):
        blobs.put(blob)
    manifest = encode(
        Manifest(
            schema_version=2,
            media_type=MANIFEST,
            artifact_type=artifact_type,
            config=Descriptor(_EMPTY, sha256(_NOTHING), len(_NOTHING)),
            layers=(Descriptor(artifact_type, sha256(data), len(data)),),
            subject=Descriptor(subject.media_type, subject.digest, subject.size),
            annotations=annotations,
        )
    )
    blobs.put(manifest)
    return Descriptor(MANIFEST, sha256(manifest), len(manifest), annotations, artifact_type=artifact_type)


def referrers(layout: Layout, digest: Digest, artifact_type: str) -> Iterator[tuple[Descriptor, Manifest]]:
    """The referrers of a manifest in a layout, of one type, each with its verified document."""
    for entry in layout.index().manifests:
        if entry.artifact_type != artifact_type:
            continue
        document = layout.manifest(entry)
        if not isinstance(document, Manifest) or not document.layers or document.subject is None:
            continue
        if document.subject.digest == digest:
            yield entry, document


def content(layout: Layout, document: Manifest) -> bytes:
    """The verified bytes of a referrer's blob; BuildErrors of `Layout.read`."""
    return layout.read(document.layers[0])
