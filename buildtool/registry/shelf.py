"""The shelf: a store seen as the repositories of a registry.

The image `PATH:TAG` of the store is the tag TAG of the repository PATH, whatever PATH is:
`app`, `team/app`, `ghcr.io/me/app`; `library/app` is `app`, as in all names.  A manifest
that came by its digest alone (an image of an index, a statement about an image) is the
name `PATH@DIGEST`, so that it is not collected.  A repository has the manifests that its
names lead to; blobs are the store's.
"""

import re
from collections.abc import Iterator

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.oci.model import (
    INDEX,
    LARGEST_DOCUMENT,
    Descriptor,
    IndexRecord,
    Manifest,
    decode,
    decode_manifest,
    encode,
)
from buildtool.reference import LONGEST, PATH, TAG, read
from buildtool.registry.repository import MANIFEST_TYPES, Document, type_of
from buildtool.store import Store

_NAME = re.compile(PATH)
_TAG = re.compile(TAG)
_DEEPEST = 4


class Refused(Exception):
    """An answer that is an error: the status, a code of the distribution-spec, and what to say."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class _About(msgspec.Struct, rename="camel"):
    """What a manifest says about itself and its subject."""

    subject: Descriptor | None = None
    artifact_type: str = ""
    config: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Shelf:
    """The repositories of a store; may be used from many threads."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def repositories(self) -> list[str]:
        """The repositories that have something, in order, as far as one can be called so."""
        paths = {_path_of(name) for name in self.store.refs.all()}
        return sorted(path for path in paths if _NAME.fullmatch(path))

    def tags(self, path: str) -> list[str]:
        """The tags of a repository, in order."""
        prefix = f"{_short(path)}:"
        names = (name for name in self.store.refs.all() if name.startswith(prefix))
        return sorted(tag for name in names if _TAG.fullmatch(tag := name.removeprefix(prefix)))

    # ------------------------------------------------------------ manifests

    def manifest(self, path: str, version: str) -> Document:
        """The manifest of a tag or digest; Refused with 404."""
        if ":" in version:
            digest: Digest | None = _digest(version)
            if not any(digest == found for found, _ in self._manifests(path)):
                digest = None
        else:
            digest = self.store.refs.get(f"{_short(path)}:{version}")
        if digest is None or not self.store.blobs.has(digest):
            raise Refused(404, "MANIFEST_UNKNOWN", f"{path} has no {version}")
        data = self.store.blobs.read(digest, LARGEST_DOCUMENT)
        return Document(data, type_of(data, digest), digest)

    def put(self, path: str, version: str, media_type: str, data: bytes) -> tuple[Digest, Digest | None]:
        """Take a manifest under a tag or its digest; its digest, and its subject's.  Refused with 400."""
        digest = sha256(data)
        if ":" in version and _digest(version) != digest:
            raise Refused(400, "DIGEST_INVALID", f"the manifest is {digest}")
        if ":" not in version and not _TAG.fullmatch(version):
            raise Refused(400, "TAG_INVALID", "that is no tag")
        if media_type not in MANIFEST_TYPES:
            raise Refused(400, "MANIFEST_INVALID", f"manifests of type {media_type[:100]!r} are not taken")
        try:
            found = decode_manifest(data, media_type, "the manifest")
            about = decode(data, _About, "the manifest")
        except BuildError as error:
            raise Refused(400, "MANIFEST_INVALID", error.message) from error
        inner = found.manifests if isinstance(found, IndexRecord) else (found.config, *found.layers)
        for blob in inner:
            if not self.store.blobs.has(blob.digest):
                raise Refused(400, "MANIFEST_BLOB_UNKNOWN", f"{blob.digest} has to come first")
        self.store.blobs.put(data)
        name = f"{_short(path)}@{digest}" if ":" in version else f"{_short(path)}:{version}"
        self.store.refs.set(name, digest, len(data), media_type)
        return digest, about.subject.digest if about.subject else None

    def delete(self, path: str, version: str) -> None:
        """Forget a tag, or a manifest with all its tags; Refused with 404."""
        names = self.store.refs.all()
        if ":" in version:
            digest = _digest(version)
            gone = [n for n, found in names.items() if found == digest and _path_of(n) == _short(path)]
        else:
            gone = [name for name in names if name == f"{_short(path)}:{version}"]
        if not gone:
            raise Refused(404, "MANIFEST_UNKNOWN", f"{path} has no {version}")
        for name in gone:
            self.store.refs.remove(name)

    def referrers(self, path: str, subject: str, artifact_type: str) -> bytes:
        """The index of the manifests whose subject a digest is, of one type or all."""
        wanted = _digest(subject)
        found: dict[Digest, Descriptor] = {}
        for digest, media_type in self._manifests(path):
            data = self.store.blobs.read(digest, LARGEST_DOCUMENT)
            about = decode(data, _About, f"manifest {digest}")
            if about.subject is None or about.subject.digest != wanted:
                continue
            kind = about.artifact_type or (about.config.media_type if about.config else "")
            if artifact_type in ("", kind):
                found[digest] = Descriptor(
                    media_type, digest, len(data), about.annotations, artifact_type=kind
                )
        manifests = tuple(found[digest] for digest in sorted(found))
        return encode(IndexRecord(schema_version=2, media_type=INDEX, manifests=manifests))

    # ------------------------------------------------------------ blobs

    def blob_size(self, digest: str) -> tuple[Digest, int]:
        """A blob by its digest, and its size in bytes; Refused with 404."""
        found = _digest(digest)
        if not self.store.blobs.has(found):
            raise Refused(404, "BLOB_UNKNOWN", f"there is no blob {found}")
        return found, self.store.blobs.size(found)

    def delete_blob(self, digest: str) -> None:
        """Remove a blob that no image needs; Refused with 404, or 405 where one does."""
        found, _ = self.blob_size(digest)
        for path in {_path_of(name) for name in self.store.refs.all()}:
            for manifest, media_type in self._manifests(path):
                data = self.store.blobs.read(manifest, LARGEST_DOCUMENT)
                document = decode_manifest(data, media_type, manifest)
                blobs = (document.config, *document.layers) if isinstance(document, Manifest) else ()
                if found == manifest or any(blob.digest == found for blob in blobs):
                    raise Refused(405, "UNSUPPORTED", f"an image of {path} needs {found}")
        self.store.blobs.remove(found)

    def _manifests(self, path: str) -> Iterator[tuple[Digest, str]]:
        """The manifests and indexes that the names of a repository lead to, with their types, each once."""
        seen: set[Digest] = set()
        waiting = [(d, 0) for n, d in self.store.refs.all().items() if _path_of(n) == _short(path)]
        while waiting:
            digest, depth = waiting.pop()
            if digest in seen or not self.store.blobs.has(digest):
                continue
            seen.add(digest)
            data = self.store.blobs.read(digest, LARGEST_DOCUMENT)
            media_type = type_of(data, digest)
            yield digest, media_type
            document = decode_manifest(data, media_type, digest)
            if isinstance(document, IndexRecord) and depth < _DEEPEST:
                waiting += [(inner.digest, depth + 1) for inner in document.manifests]


def check_name(path: str) -> str:
    """A repository's name as it is; Refused with 400 for what is none."""
    if len(path) > LONGEST or not _NAME.fullmatch(path):
        raise Refused(400, "NAME_INVALID", "that is no name of a repository")
    return path


def _short(path: str) -> str:
    """A repository's name as names of the store begin: without what Docker's defaults would add."""
    found = read(path)
    return found.short if found else path


def _path_of(name: str) -> str:
    """The repository of a name of the store."""
    path = name.partition("@")[0]
    head, colon, tag = path.rpartition(":")
    return head if colon and "/" not in tag else path


def _digest(text: str) -> Digest:
    from buildtool.digest import parse_digest

    try:
        return parse_digest(text)
    except BuildError as error:
        raise Refused(400, "DIGEST_INVALID", error.message) from error
