"""What is told about an image beside it: kept in the store when it is built, found again by its digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildtool.attest.provenance import provenance
from buildtool.attest.statement import PROVENANCE, Statement, decoded, document
from buildtool.cli.parameters import parameters_of
from buildtool.cli.request import BuildRequest
from buildtool.diag import BuildError
from buildtool.digest import Digest, key_of
from buildtool.executor.api import Built, BuiltImage
from buildtool.graph.model import Image, Index
from buildtool.oci.model import INDEX, MANIFEST, Descriptor
from buildtool.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildtool.attest.provenance import Content
    from buildtool.lock.model import Lock
    from buildtool.oci.layout import Layout

#: How an in-toto statement is called as a blob, and the annotation that says its type; both as in buildx.
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE = "in-toto.io/predicate-type"


@dataclass(frozen=True, slots=True)
class Result:
    """A root of the graph, and the manifest or index that it became; of `images` when it is an index."""

    root: Image | Index
    digest: Digest
    images: tuple[BuiltImage, ...]


def results_of(roots: "Sequence[Image | Index]", built: Built) -> Iterator[Result]:
    """What each root of a graph became."""
    images, indexes = iter(built.images), iter(built.indexes)
    for root in roots:
        if isinstance(root, Index):
            found = tuple(next(images) for _ in root.images)
            yield Result(root, next(indexes).digest, found)
        else:
            image = next(images)
            yield Result(root, image.manifest, (image,))


def keep_provenance(
    store: Store, result: Result, request: BuildRequest, lock: "Lock", content: "Content"
) -> None:
    """Remember where an image comes from."""
    network_steps = {step for image in result.images for step in image.network_steps}
    parameters = parameters_of(request, result.root)
    data = document(provenance(result.digest, result.root, parameters, lock, network_steps, content))
    name = _name(result.digest)
    if store.results.get(name) != data:
        store.results.put(name, "provenance", data)


def provenance_in(store: Store, digest: Digest) -> bytes | None:
    """The provenance of an image that this store built, as it is written; None where it did not."""
    return store.results.get(_name(digest))


def provenance_of(store: Store, layout: "Layout", digest: Digest) -> bytes:
    """The provenance beside an image in a layout, else the store's; BuildError `no-provenance`."""
    from buildtool.oci.artifact import content, referrers

    for entry, found in referrers(layout, digest, IN_TOTO):
        if (entry.annotations or found.annotations or {}).get(PREDICATE) == PROVENANCE:
            return content(layout, found)
    data = provenance_in(store, digest)
    if data is None:
        raise BuildError(
            "no-provenance",
            f"nothing is known of where {digest} comes from",
            hint="the store knows what it built itself; build --provenance puts it beside an output",
        )
    return data


def beside(store: Store, built: Built, kinds: "Sequence[str]") -> "Iterator[Descriptor]":
    """Make the referrers that were asked for: provenance of each result, bills of materials of each image."""
    from buildtool.attest.sbom import MEDIA_TYPES, sbom
    from buildtool.oci.artifact import referrer
    from buildtool.oci.layout import open_layout

    images = [Descriptor(MANIFEST, i.manifest, i.manifest_size) for i in built.images]
    results = [Descriptor(INDEX, i.digest, i.size) for i in built.indexes] or images
    for result in results if "provenance" in kinds else ():
        data = provenance_in(store, result.digest)
        assert data is not None
        yield referrer(store.blobs, result, IN_TOTO, data, {PREDICATE: PROVENANCE})
    for form in (kind for kind in kinds if kind in MEDIA_TYPES):
        for image in images:
            bill = sbom(open_layout(store.path), image, form)
            yield referrer(store.blobs, image, MEDIA_TYPES[form], bill)


def checked_provenance(data: bytes, digest: Digest) -> Statement:
    """A provenance of our builds about that image; BuildError `bad-statement`, `bad-provenance`."""
    from buildtool.attest.provenance import BUILD_TYPE

    statement = decoded(data)
    definition = statement.predicate.get("buildDefinition")
    if statement.predicate_type != PROVENANCE or not isinstance(definition, dict):
        raise BuildError("bad-provenance", f"this is no provenance, but {statement.predicate_type[:80]!r}")
    if not statement.is_about(digest):
        raise BuildError("bad-provenance", f"this provenance is about another image than {digest}")
    if definition.get("buildType") != BUILD_TYPE:
        kind = str(definition.get("buildType"))[:80]
        raise BuildError("bad-provenance", f"only builds of buildtool can be rebuilt, not of {kind!r}")
    return statement


def _name(digest: Digest) -> str:
    return key_of(["provenance", digest])
