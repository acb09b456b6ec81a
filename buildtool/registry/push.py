"""Pushing: an image from the blobs of a store to a registry.

Blobs go first, side by side: what the repository has is passed over, what another
repository of the registry has is mounted from there, the rest is uploaded.  Manifests
follow, inner ones by their digest, the outermost under its tags last, so that a name
never stands for an image that is not whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.oci.model import (
    INDEX,
    LARGEST_DOCUMENT,
    Descriptor,
    IndexRecord,
    Manifest,
    decode_manifest,
    encode,
)
from buildtool.registry.fault import Fault, error_of
from buildtool.registry.pull import transfer
from buildtool.registry.repository import Repository, referrers_tag
from buildtool.store import Blobs

Advance = Callable[[int, int | None], None]
#: The path of a repository of the same registry that is believed to have a blob; empty for none.
Whence = Callable[[Digest], str]

_DEEPEST = 4


@dataclass(slots=True)
class Pushed:
    """How a push went, in blobs and in bytes."""

    uploaded: int = 0
    mounted: int = 0
    there: int = 0
    size: int = 0
    blobs: list[Digest] = field(default_factory=list)


class Pusher:
    """Pushes documents and their blobs to one repository."""

    def __init__(self, repository: Repository, blobs: Blobs, whence: Whence = lambda digest: "") -> None:
        self._repository = repository
        self._blobs = blobs
        self._whence = whence

    def push(
        self, top: Descriptor, versions: Sequence[str], advance: Advance = lambda done, total: None
    ) -> Pushed:
        """Push what a descriptor leads to, and name it by tags (or by its digest alone, without any).

        BuildError of the store's blobs, `registry-denied`, `registry-unreachable`,
        `registry-failed`.
        """
        documents: dict[Digest, tuple[str, bytes]] = {}
        needed: dict[Digest, Descriptor] = {}
        self._walk(top, documents, needed, 0)
        pushed = Pushed(blobs=list(needed))
        transfer(tuple(needed.values()), lambda blob, told: self._blob(blob, pushed, told), advance)
        try:
            for digest, (media_type, data) in documents.items():
                for version in (versions or (digest,)) if digest == top.digest else (digest,):
                    self._repository.put_manifest(data, media_type, version)
        except Fault as fault:
            raise error_of(fault, f"cannot push the manifest to {self._repository}") from fault
        return pushed

    def refer(self, subject: Digest, referrer: Descriptor) -> None:
        """Push a manifest whose subject is another one, so that it is found by that.

        Where the registry has no API for referrers, the index under the tag of the
        subject is extended, as the distribution-spec asks of clients.
        """
        self.push(referrer, ())
        repository = self._repository
        try:
            if any(known.digest == referrer.digest for known in repository.referrers(subject)):
                return
            known = tuple(repository.referrers(subject))
            index = encode(IndexRecord(schema_version=2, manifests=(*known, referrer), media_type=INDEX))
            repository.put_manifest(index, INDEX, referrers_tag(subject))
        except Fault as fault:
            raise error_of(fault, f"cannot push a referrer to {repository}") from fault

    def _walk(
        self,
        entry: Descriptor,
        documents: dict[Digest, tuple[str, bytes]],
        needed: dict[Digest, Descriptor],
        depth: int,
    ) -> None:
        """Gather documents, inner ones first, and the blobs that manifests name."""
        if entry.digest in documents:
            return
        if depth > _DEEPEST:
            raise BuildError("bad-document", f"{entry.digest} has indexes more than {_DEEPEST} deep")
        data = self._blobs.read(entry.digest, LARGEST_DOCUMENT)
        found = decode_manifest(data, entry.media_type, f"manifest {entry.digest}")
        if isinstance(found, Manifest):
            needed.update((blob.digest, blob) for blob in (found.config, *found.layers))
        else:
            for inner in found.manifests:
                self._walk(inner, documents, needed, depth + 1)
        documents[entry.digest] = (entry.media_type, data)

    def _blob(self, blob: Descriptor, pushed: Pushed, advance: Advance) -> None:
        repository = self._repository
        try:
            if repository.has_blob(blob.digest):
                pushed.there += 1
            else:
                source, at = self._whence(blob.digest), ""
                if source and source != repository.place.path:
                    at = repository.mount_blob(blob.digest, source)
                if source and source != repository.place.path and not at:
                    pushed.mounted += 1
                else:
                    repository.upload(blob, lambda: self._blobs.open(blob.digest), advance, at)
                    pushed.uploaded += 1
                    pushed.size += blob.size
            advance(blob.size, blob.size)
        except Fault as fault:
            raise error_of(fault, f"cannot push {blob.digest} to {repository}") from fault
