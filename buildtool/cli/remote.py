"""What stands beside images in registries: found by its subject, brought here verified, and pushed."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from buildtool.cli.access import DOCKER, Access
from buildtool.diag import BuildError
from buildtool.oci.model import LARGEST_DOCUMENT, Descriptor, Manifest, decode_manifest

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.reference import Reference
    from buildtool.registry.client import Registries
    from buildtool.store import Store

#: Referrers of one type that are looked at, and bytes of their blobs that are brought here: of one, of all.
_MOST = 1000
_LARGEST, _LARGEST_SUM = 256 << 20, 1 << 30


def reference_of(text: str) -> "Reference":
    """The reference behind `docker://`."""
    from buildtool.registry.reference import parse_reference

    return parse_reference(text.removeprefix(DOCKER))


def published(text: str, store: "Store", access: Access) -> Descriptor:
    """The manifest or index that `docker://...` names, brought to the store; its layers are not."""
    from buildtool.registry.pull import Puller

    return Puller(access.registries(os.getcwd()), reference_of(text), store.blobs).document()


def referrers_at(
    text: str, store: "Store", subject: "Digest", artifact_type: str, access: Access
) -> Iterator[tuple[Descriptor, Manifest, bytes]]:
    """The referrers of one type of a manifest in a registry, each with its document and its blob.

    BuildErrors of the registry; `bad-document` for what is no referrer of it, `too-many-referrers`.
    """
    from buildtool.registry.fault import Fault, error_of
    from buildtool.registry.pull import Puller

    reference, known = reference_of(text), access.registries(os.getcwd())
    puller = Puller(known, reference.at(subject), store.blobs)
    try:
        found = known.reading(reference)[-1].referrers(subject, artifact_type)
    except Fault as fault:
        raise error_of(fault, f"cannot list what stands beside {text}") from fault
    entries = [entry for entry in found if entry.artifact_type == artifact_type]
    if len(entries) > _MOST:
        raise _too_many(text, f"{len(entries)} referrers of one type, and {_MOST} are looked at")
    room = _LARGEST_SUM
    for entry in entries:
        data = store.blobs.read(puller.document(entry.digest).digest, LARGEST_DOCUMENT)
        document = decode_manifest(data, entry.media_type, f"referrer {entry.digest}")
        if not isinstance(document, Manifest) or not document.subject or document.subject.digest != subject:
            raise BuildError("bad-document", f"{entry.digest} beside {text} is about another image")
        if document.layers and document.layers[0].size <= _LARGEST:
            room -= document.layers[0].size
            if room < 0:
                raise _too_many(text, f"more than {_LARGEST_SUM >> 20} MiB of referrers of one type")
            puller.blob(document.layers[0])
            yield entry, document, store.blobs.read(document.layers[0].digest, _LARGEST)


def _too_many(text: str, why: str) -> BuildError:
    return BuildError("too-many-referrers", f"beside {text} stand {why}", exit_status=1)


def tags_at(reference: "Reference", access: Access) -> list[str]:
    """The tags of a repository, as the registry itself has them; BuildErrors of the registry."""
    from buildtool.registry.fault import Fault, error_of

    try:
        return access.registries(os.getcwd()).reading(reference)[-1].tags()
    except Fault as fault:
        raise error_of(fault, f"cannot list the tags of {reference.repository}") from fault


def delete_at(reference: "Reference", access: Access) -> None:
    """Delete a tag of a registry, or an image by its digest; BuildErrors of the registry, `tag-shared`."""
    from buildtool.registry.delete import delete
    from buildtool.registry.fault import Fault, error_of

    try:
        delete(access.registries(os.getcwd()).writing(reference), reference)
    except Fault as fault:
        raise error_of(fault, f"cannot delete {reference}") from fault


def refer(
    referrers: Sequence[Descriptor],
    subject: "Digest",
    references: "Sequence[Reference]",
    known: "Registries",
    store: "Store",
) -> None:
    """Push referrers beside their subject, to the repository of each reference."""
    from buildtool.registry.push import Pusher

    for repository in {r.repository: r for r in references}.values():
        pusher = Pusher(known.writing(repository), store.blobs)
        for referrer in referrers:
            pusher.refer(subject, referrer)
