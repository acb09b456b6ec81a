"""Facts of an image for people: its platforms, when it was made, how much room it takes."""

from dataclasses import dataclass, field

from buildtool.digest import Digest
from buildtool.oci.layout import Layout, is_attestation
from buildtool.oci.model import Descriptor, IndexRecord


@dataclass(slots=True)
class Facts:
    """Of an image, or of all images of an index together.

    `created` is RFC 3339, the latest; `sizes` are those of the blobs in bytes.
    """

    platforms: list[str] = field(default_factory=list)
    created: str = ""
    sizes: dict[Digest, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all blobs, each counted once."""
        return sum(self.sizes.values())


def facts_of(layout: Layout, entry: Descriptor) -> Facts:
    """What the documents of an image or index say; BuildErrors of `Layout` if they cannot be read."""
    facts = Facts()
    _add(facts, layout, entry)
    return facts


def _add(facts: Facts, layout: Layout, entry: Descriptor) -> None:
    if entry.digest in facts.sizes:
        # No digest is below itself, so this ends.
        return
    facts.sizes[entry.digest] = entry.size
    document = layout.manifest(entry)
    if isinstance(document, IndexRecord):
        for inner in document.manifests:
            if not is_attestation(inner):
                _add(facts, layout, inner)
        return
    config = layout.config(document)
    facts.platforms.append("/".join(p for p in (config.os, config.architecture, config.variant) if p))
    facts.created = max(facts.created, config.created or "")
    facts.sizes |= {blob.digest: blob.size for blob in (document.config, *document.layers)}
