"""Bundles: everything that builds from one lock take from elsewhere, as an OCI artifact.

The artifact is a manifest of type `BUNDLE` with an empty config; its layers are the blobs, as
they are in a store.  The files of a git commit are a blob whose annotation `GIT` has the keys
that stores know it by, with spaces between them.  A bundle is foreign: every blob is verified
when it is taken out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from buildtool.diag import BuildError
from buildtool.digest import Digest, Key, sha256
from buildtool.oci.export import Export, write_layout
from buildtool.oci.layout import Layout, copy_blob, open_layout
from buildtool.oci.model import MANIFEST, Descriptor, Manifest, encode, oci_type
from buildtool.store import Blobs

#: The type of the artifact.
BUNDLE = "application/vnd.buildtool.bundle.v1+json"
GIT = "dev.buildtool.git"

_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_BLOB_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle has: sizes in bytes by digest, and archives of commits by their keys."""

    blobs: Mapping[Digest, int] = field(default_factory=dict)
    git: Mapping[Key, Digest] = field(default_factory=dict)


def make_bundle(digests: Iterable[Digest], git: Mapping[Key, Digest], blobs: Blobs) -> Export:
    """The artifact of these blobs, its manifest put among them; equal contents make equal artifacts."""
    keys: dict[Digest, list[Key]] = {}
    for key, archive in sorted(git.items()):
        keys.setdefault(archive, []).append(key)
    layers = tuple(
        Descriptor(
            _BLOB_TYPE, digest, blobs.size(digest), {GIT: " ".join(keys[digest])} if digest in keys else None
        )
        for digest in sorted({*digests, *keys})
    )
    config = Descriptor(_EMPTY_TYPE, blobs.put(_EMPTY), len(_EMPTY))
    manifest = encode(
        Manifest(schema_version=2, media_type=MANIFEST, artifact_type=BUNDLE, config=config, layers=layers)
    )
    blobs.put(manifest)
    return Export(sha256(manifest), len(manifest), MANIFEST)


def write_bundle(folder: str, bundle: Export, blobs: Blobs) -> None:
    """Write a bundle into a layout folder; the one that was there is replaced."""
    write_layout(folder, [bundle], blobs)


def contents_of(manifest: Manifest) -> Contents:
    """What the manifest of a bundle says that it has; BuildError `no-bundle` for another artifact."""
    if manifest.artifact_type != BUNDLE:
        raise BuildError("no-bundle", "this is no bundle", hint="`buildtool lock bundle` writes one")
    git = {
        Key(key): layer.digest
        for layer in manifest.layers
        for key in (layer.annotations or {}).get(GIT, "").split()
    }
    return Contents({layer.digest: layer.size for layer in manifest.layers}, git)


class Bundle:
    """A bundle in a folder; BuildError `no-bundle`, and those of layouts."""

    def __init__(self, folder: str) -> None:
        self._layout = open_layout(folder)
        self._contents = _found(self._layout)

    def git(self, key: Key) -> Digest | None:
        """The archive of a commit."""
        return self._contents.git.get(key)

    def bring(self, digest: Digest, blobs: Blobs) -> bool:
        """Put a blob among ours, verified; False if the bundle has it not."""
        if digest not in self._contents.blobs:
            return False
        copy_blob(self._layout, digest, blobs, lambda done, total: None)
        return True


def _found(layout: Layout) -> Contents:
    for entry in layout.index().manifests:
        if oci_type(entry.media_type) == MANIFEST:
            document = layout.manifest(entry)
            if isinstance(document, Manifest) and document.artifact_type == BUNDLE:
                return contents_of(document)
    raise BuildError("no-bundle", f"{layout.name} holds no bundle", hint="`buildtool lock bundle` writes one")
