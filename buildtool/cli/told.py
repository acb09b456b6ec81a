"""What is told about an image beside it: kept in the store when it is built, found again by its digest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from buildtool.attest.provenance import provenance
from buildtool.attest.statement import PROVENANCE, Statement, decoded, document
from buildtool.cli.access import DOCKER, Access
from buildtool.cli.parameters import parameters_of
from buildtool.cli.request import BuildRequest
from buildtool.diag import BuildError
from buildtool.digest import Digest, key_of
from buildtool.executor.api import Built, Result
from buildtool.graph.model import Image, Index
from buildtool.oci.model import MANIFEST, Descriptor, Manifest
from buildtool.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildtool.attest.provenance import Content
    from buildtool.lock.model import Lock
    from buildtool.oci.layout import Layout

#: How an in-toto statement is called as a blob, and the annotation that says its type; both as in buildx.
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE = "in-toto.io/predicate-type"


def keep_provenance(
    store: Store, root: Image | Index, result: Result, request: BuildRequest, lock: "Lock", content: "Content"
) -> None:
    """Remember where an image comes from."""
    networks = {step.title: str(step.network) for image in result.images for step in image.steps}
    parameters = parameters_of(request, root)
    data = document(provenance(result.digest, root, parameters, lock, networks, content))
    name = _name(result.digest)
    if store.results.get(name) != data:
        store.results.put(name, "provenance", data)


def provenance_in(store: Store, digest: Digest) -> bytes | None:
    """The provenance of an image that this store built, as it is written; None where it did not."""
    return store.results.get(_name(digest))


def beside_at(
    text: str, store: Store, layout: "Layout", digest: Digest, kind: str, access: Access
) -> "Iterator[tuple[str, str, bytes]]":
    """What stands beside an image where `text` says that it is: name, predicate type, and the bytes."""
    if text.startswith(DOCKER):
        from buildtool.cli.remote import referrers_at

        for entry, found, data in referrers_at(text, store, digest, kind, access):
            yield f"{text}@{entry.digest[:19]}", _predicate(entry, found), data
        return
    from buildtool.oci.artifact import content, referrers

    for entry, found in referrers(layout, digest, kind):
        yield f"{layout.name}@{entry.digest[:19]}", _predicate(entry, found), content(layout, found)


def _predicate(entry: Descriptor, found: Manifest) -> str:
    return (entry.annotations or found.annotations or {}).get(PREDICATE, "")


def provenance_of(text: str, store: Store, layout: "Layout", digest: Digest, access: Access) -> bytes:
    """The provenance beside an image, else the store's; BuildError `no-provenance`."""
    for _, predicate, data in beside_at(text, store, layout, digest, IN_TOTO, access):
        if predicate == PROVENANCE:
            return data
    known = provenance_in(store, digest)
    if known is None:
        raise BuildError(
            "no-provenance",
            f"nothing is known of where {digest} comes from",
            hint="the store knows what it built itself; build --provenance puts it beside an output",
        )
    return known


def beside(
    store: Store, built: Built, top: Descriptor, kinds: "Sequence[str]"
) -> "Iterator[tuple[Digest, Descriptor]]":
    """Make the referrers that were asked for of a result, each with the digest that it is about.

    Provenance is about the whole result, a bill of materials about one image.
    """
    from buildtool.attest.sbom import MEDIA_TYPES, sbom
    from buildtool.oci.artifact import referrer
    from buildtool.oci.layout import open_layout

    if "provenance" in kinds:
        data = provenance_in(store, top.digest)
        assert data is not None
        yield top.digest, referrer(store.blobs, top, IN_TOTO, data, {PREDICATE: PROVENANCE})
    images = next(result.images for result in built.results if result.digest == top.digest)
    for form in (kind for kind in kinds if kind in MEDIA_TYPES):
        for image in images:
            about = Descriptor(MANIFEST, image.manifest, image.manifest_size)
            bill = sbom(open_layout(store.path), about, form)
            yield about.digest, referrer(store.blobs, about, MEDIA_TYPES[form], bill)


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
