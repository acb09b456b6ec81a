"""Bringing whole images of a layout into a store: everything below a descriptor, the descriptor last."""

from collections.abc import Iterator
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Platform
from buildtool.oci.layout import Layout, copy_blob, full_name, is_attestation
from buildtool.oci.model import Descriptor, IndexRecord
from buildtool.oci.platforms import fit
from buildtool.store import Blobs

#: Indexes within indexes that are followed.
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Brought:
    """An image or index among a store's blobs.

    `names` are those that the layout gives it.  `partial`: of an index whose images the
    layout does not hold all, it is the image for one platform.
    """

    digest: Digest
    names: tuple[str, ...]
    partial: bool = False


def bring(layout: Layout, blobs: Blobs, platform: Platform, *, only_one: bool = False) -> list[Brought]:
    """Copy all images of a layout; every byte is verified, and nothing wrong is kept.

    An index of which only some images are there (as `docker save` writes it where only
    one platform was pulled) becomes the image for `platform`, as do all with `only_one`.
    BuildErrors of `Layout` and `copy_blob`; `no-such-image` for a layout without any.
    """
    found: dict[Digest, list[str]] = {}
    roots: dict[Digest, tuple[Digest, bool]] = {}
    for entry in layout.index().manifests:
        if is_attestation(entry):
            continue
        if entry.digest not in found:
            found[entry.digest] = []
            whole = _is_whole(layout, entry)
            chosen = entry if whole and not only_one else _part(layout, entry, platform)
            copy_image(layout, chosen, blobs)
            roots[entry.digest] = chosen.digest, not whole
        if name := full_name(entry):
            found[entry.digest].append(name)
    if not found:
        raise BuildError("no-such-image", f"{layout.name} holds no image")
    return [Brought(roots[digest][0], tuple(names), roots[digest][1]) for digest, names in found.items()]


def copy_image(layout: Layout, entry: Descriptor, blobs: Blobs) -> None:
    """Copy an image, or an index with all its images: blobs before the documents that name them."""
    document = layout.manifest(entry)
    if isinstance(document, IndexRecord):
        for inner in document.manifests:
            copy_image(layout, inner, blobs)
    else:
        for blob in (document.config, *document.layers):
            if not blobs.has(blob.digest):
                copy_blob(layout, blob.digest, blobs, lambda done, total: None)
    blobs.put(layout.read(entry))


def _is_whole(layout: Layout, entry: Descriptor) -> bool:
    """Whether the layout holds the manifests of all images of an index."""
    return all(there for _, there in _inside(layout, entry, 0))


def _part(layout: Layout, entry: Descriptor, platform: Platform) -> Descriptor:
    """The image of an index that suits a platform, else the only one that is there; `no-such-platform`."""
    there = [image for image, is_there in _inside(layout, entry, 0) if is_there and not is_attestation(image)]
    ranked = [(fit(platform, layout.platform_of(image)), -n) for n, image in enumerate(there)]
    best, number = max(ranked, default=(0, 0))
    if not best and len(there) != 1:
        known = ", ".join(sorted(str(layout.platform_of(image)) for image in there))
        raise BuildError(
            "no-such-platform",
            f"{layout.name} has no image for {platform}",
            hint=f"it has {known}: choose one with --platform" if known else "",
        )
    return there[-number]


def _inside(layout: Layout, entry: Descriptor, depth: int) -> Iterator[tuple[Descriptor, bool]]:
    """The image manifests below an entry, each with whether the layout holds it."""
    try:
        document = layout.manifest(entry)
    except BuildError as exc:
        if depth == 0 or exc.code != "missing-blob":
            raise
        yield entry, False
        return
    if not isinstance(document, IndexRecord):
        yield entry, True
        return
    if depth == _DEEPEST:
        raise BuildError("bad-document", f"{layout.name} has indexes more than {_DEEPEST} deep")
    for inner in document.manifests:
        yield from _inside(layout, inner, depth + 1)
