"""A repository of a registry: manifests, blobs, tags and referrers (distribution-spec 1.1).

Nothing is believed: manifests and blobs are held against their digests and sizes,
headers that say otherwise are faults, lists and documents are bounded.  Methods raise
Fault; who calls says what was tried.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, urlencode, urljoin

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest, sha256
from buildtool.oci.model import (
    DOCKER_TYPES,
    INDEX,
    LARGEST_DOCUMENT,
    MANIFEST,
    Descriptor,
    IndexRecord,
    decode,
    decode_manifest,
)
from buildtool.registry.auth import LOGIN, Scope
from buildtool.registry.download import Download
from buildtool.registry.fault import Fault
from buildtool.registry.place import Place
from buildtool.registry.upload import Upload
from buildtool.registry.wire import Reply, Wire, check_address

#: Media types of the documents that images are found by.
MANIFEST_TYPES = (MANIFEST, INDEX, *(t for t, same in DOCKER_TYPES.items() if same in (MANIFEST, INDEX)))
_ACCEPT = ", ".join(MANIFEST_TYPES)
_MOST_PAGES = 1000
_MOST_TAGS = 100_000
_MOST_REFERRERS = 10_000
_LARGEST_LIST = 16 << 20

Advance = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index as a registry serves it, held against its digest."""

    data: bytes
    media_type: str
    digest: Digest

    @property
    def descriptor(self) -> Descriptor:
        """What names the document."""
        return Descriptor(self.media_type, self.digest, len(self.data))


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class Repository:
    """The repository at a place; may be used from many threads."""

    def __init__(self, wire: Wire, place: Place) -> None:
        self.wire = wire
        self.place = place
        self.reading = Scope.of(place.path)
        self.writing = Scope.of(place.path, "pull,push")
        self._deleting = Scope.of(place.path, "delete,pull,push")
        self._base = f"/v2/{place.path}"

    def __str__(self) -> str:
        return str(self.place)

    def check_access(self) -> None:
        """Ask the registry for its greeting, which needs a login where the registry does."""
        self.wire.ask(self.place, "GET", "/v2/", LOGIN)

    # ------------------------------------------------------------ manifests

    def manifest(self, version: str) -> Document:
        """The manifest or index of a tag or digest, byte for byte."""
        reply = self.wire.ask(
            self.place,
            "GET",
            f"{self._base}/manifests/{version}",
            self.reading,
            headers={"Accept": _ACCEPT},
            limit=LARGEST_DOCUMENT,
        )
        digest = sha256(reply.body)
        if ":" in version and digest != version:
            raise Fault(f"{self.place.address} serves other bytes than {version}: theirs are {digest}")
        self._check_digest(reply, digest)
        media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
        if media_type not in MANIFEST_TYPES:
            media_type = type_of(reply.body, f"the manifest from {self.place.address}")
        return Document(reply.body, media_type, digest)

    def find(self, version: str) -> Descriptor | None:
        """What the registry says that a tag or digest is, without its bytes; None where it has it not."""
        reply = self.wire.ask(
            self.place,
            "HEAD",
            f"{self._base}/manifests/{version}",
            self.reading,
            headers={"Accept": _ACCEPT},
            expect=(200, 404),
        )
        said = reply.headers.get("docker-content-digest", version if ":" in version else "")
        size = reply.headers.get("content-length", "")
        if reply.status == 404 or not said or not size.isdigit():
            return None
        media_type = reply.headers.get("content-type", "").partition(";")[0].strip()
        return Descriptor(media_type, parse_digest(said), int(size[:18]))

    def put_manifest(self, data: bytes, media_type: str, version: str) -> None:
        """Store a manifest or index under a tag or its digest."""
        reply = self.wire.ask(
            self.place,
            "PUT",
            f"{self._base}/manifests/{version}",
            self.writing,
            headers={"Content-Type": media_type},
            body=data,
            expect=(200, 201, 202),
        )
        self._check_digest(reply, sha256(data))

    def delete_manifest(self, version: str) -> None:
        """Delete a manifest by its digest, or a tag."""
        target = f"{self._base}/manifests/{version}"
        self.wire.ask(self.place, "DELETE", target, self._deleting, expect=(200, 202))

    def _check_digest(self, reply: Reply, digest: Digest) -> None:
        said = reply.headers.get("docker-content-digest", "")
        if said.startswith("sha256:") and said != digest:
            raise Fault(f"{self.place.address} says {said[:80]} where the bytes are {digest}")

    # ------------------------------------------------------------ blobs

    def has_blob(self, digest: Digest) -> bool:
        """Whether the registry says that the repository has a blob."""
        target = f"{self._base}/blobs/{digest}"
        return self.wire.ask(self.place, "HEAD", target, self.reading, expect=(200, 404)).status == 200

    def read_blob(self, blob: Descriptor, write: Callable[[bytes], object], advance: Advance) -> None:
        """Send a blob's bytes to `write`, which holds the digest against them."""
        Download(self.wire, self.place, self.reading, blob, write, advance).run()

    def mount_blob(self, digest: Digest, from_path: str) -> str:
        """Take a blob over from another repository of the registry; else where it is to be uploaded to."""
        query = urlencode({"mount": digest, "from": from_path})
        scope = Scope.of(self.place.path, "pull,push", from_path)
        target = f"{self._base}/blobs/uploads/?{query}"
        reply = self.wire.ask(self.place, "POST", target, scope, expect=(201, 202))
        return "" if reply.status == 201 else self.location(reply)

    def upload(
        self, blob: Descriptor, open_blob: Callable[[], BinaryIO], advance: Advance, at: str = ""
    ) -> None:
        """Upload a blob, resuming where it breaks off; `at` is an upload that was begun already."""
        Upload(self, blob, open_blob, advance).run(at)

    def begin_upload(self) -> Reply:
        """Begin an upload."""
        target = f"{self._base}/blobs/uploads/"
        return self.wire.ask(self.place, "POST", target, self.writing, body=b"", expect=(202,))

    def delete_blob(self, digest: Digest) -> None:
        """Delete a blob."""
        target = f"{self._base}/blobs/{digest}"
        self.wire.ask(self.place, "DELETE", target, self._deleting, expect=(200, 202))

    def location(self, reply: Reply) -> str:
        """The address that an answer names in Location; Fault without one."""
        where = reply.headers.get("location", "")
        if not where:
            raise Fault(f"{self.place.address} does not say where to go on (no Location)", again=True)
        found = urljoin(reply.url, where)
        check_address(self.place, reply.url, found)
        return found

    # ------------------------------------------------------------ lists

    def tags(self) -> list[str]:
        """All tags, in the order of the registry."""
        found: list[str] = []
        for reply in self._pages(f"{self._base}/tags/list"):
            found += decode(reply.body, _Tags, f"the list of tags of {self}").tags or []
            if len(found) > _MOST_TAGS:
                raise Fault(f"{self.place.address} has more than {_MOST_TAGS} tags here")
        return list(dict.fromkeys(found))

    def referrers(self, digest: Digest, artifact_type: str = "") -> Sequence[Descriptor]:
        """What refers to a manifest as its subject, of one type or all; by tag where there is no API."""
        query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
        found: list[Descriptor] = []
        for reply in self._pages(f"{self._base}/referrers/{digest}{query}", expect=(200, 404, 405)):
            if reply.status != 200:
                found = list(self._tagged_referrers(digest))
                break
            found += self._index(reply.body).manifests
            if len(found) > _MOST_REFERRERS:
                raise Fault(f"{self.place.address} lists more than {_MOST_REFERRERS} referrers of {digest}")
        return [d for d in found if not artifact_type or d.artifact_type == artifact_type]

    def _tagged_referrers(self, digest: Digest) -> Sequence[Descriptor]:
        """The index under the tag that stands for a subject ("Referrers Tag Schema")."""
        try:
            return self._index(self.manifest(referrers_tag(digest)).data).manifests
        except Fault as fault:
            if fault.status == 404:
                return ()
            raise

    def _index(self, data: bytes) -> IndexRecord:
        found = decode_manifest(data, INDEX, f"the referrers from {self.place.address}")
        if not isinstance(found, IndexRecord):
            raise Fault(f"{self.place.address} answers with something else than a list of referrers")
        return found

    def _pages(self, target: str, expect: Sequence[int] = (200,)) -> Iterator[Reply]:
        """The pages of a list: each names the next in Link (RFC 8288)."""
        for _ in range(_MOST_PAGES):
            reply = self.wire.ask(self.place, "GET", target, self.reading, expect=expect, limit=_LARGEST_LIST)
            yield reply
            link = reply.headers.get("link", "")
            if 'rel="next"' not in link and "rel=next" not in link:
                return
            target = urljoin(reply.url, link.partition("<")[2].partition(">")[0])
            check_address(self.place, reply.url, target)
        raise Fault(f"{self.place.address} has more than {_MOST_PAGES} pages of this list")


class _Typed(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    manifests: list[msgspec.Raw] | None = None


def referrers_tag(digest: Digest) -> str:
    """The tag that stands for the referrers of a subject where a registry has no API for them."""
    return digest.replace(":", "-")


def type_of(data: bytes, name: str) -> str:
    """The media type that a document gives itself; BuildError `bad-document` where it is no manifest."""
    inner = decode(data, _Typed, name)
    kind = inner.media_type or (INDEX if inner.manifests is not None else MANIFEST)
    if inner.schema_version != 2 or kind not in MANIFEST_TYPES:
        what = (
            "in the form of 2014 (schema version 1)"
            if inner.schema_version == 1
            else f"of type {kind[:100]!r}"
        )
        raise BuildError("bad-document", f"{name} is a document {what}, which is no image", exit_status=1)
    return kind
