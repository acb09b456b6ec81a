"""Caches that travel, where the rooms meet: in folders and in registries, to read and to write."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from buildtool.diag import BuildError, Warned
from buildtool.digest import Digest, hex_of, parse_digest, sha256
from buildtool.executor.progress import Progress
from buildtool.executor.travel import CACHE, LARGEST_CONFIG, Blob, Contents, contents_of, write_cache
from buildtool.oci.model import MANIFEST, REF_NAME, Descriptor, IndexRecord, Manifest, decode_manifest
from buildtool.store import Blobs
from buildtool.tally import Advance

if TYPE_CHECKING:
    from buildtool.cli.cachespecs import CacheSpec
    from buildtool.executor.api import Built
    from buildtool.executor.travel import Ledger, Source
    from buildtool.oci.layout import Layout
    from buildtool.registry.client import Registries
    from buildtool.registry.repository import Document
    from buildtool.store import Store

#: Opens the registries as this build reaches them; a build that has everything never does.
OpenRegistries = Callable[[], "Registries"]


def source_of(spec: "CacheSpec", registries: OpenRegistries) -> "Source":
    """The cache that a `--cache-from` names; nothing is opened yet."""
    return LayoutSource(spec) if spec.kind == "local" else RegistrySource(spec, registries)


@contextmanager
def fetching(progress: Progress, count: int) -> Iterator[Advance]:
    """Show that layers of a cache are fetched."""
    from buildtool.cli.progress.wording import plural
    from buildtool.cli.telling import telling

    with telling(progress, f"fetch {plural(count, 'layer')} from a cache") as told:
        yield told.download


class LayoutSource:
    """A cache in a folder that is an image layout."""

    def __init__(self, spec: "CacheSpec") -> None:
        self.name = f"the cache in {spec.place}"
        self._spec = spec

    def contents(self) -> Contents:
        layout = self._layout()
        digest = parse_digest(self._spec.digest) if self._spec.digest else None
        named = (e for e in layout.index().manifests if (e.annotations or {}).get(REF_NAME) == self._spec.tag)
        entry = layout.entry(digest) if digest else next(named, None)
        if entry is None:
            raise BuildError("no-cache", f"it has none called {self._spec.digest or self._spec.tag}")
        manifest = _cache_manifest(layout.read(entry), entry.media_type, self.name)
        file, _ = layout.open(manifest.config.digest)
        with file:
            config = file.read(LARGEST_CONFIG + 1)
        return _contents(manifest, config, self.name)

    def fetch(self, blob: Blob, blobs: Blobs, advance: Advance) -> None:
        from buildtool.oci.layout import copy_blob

        copy_blob(self._layout(), blob.digest, blobs, advance)

    def _layout(self) -> "Layout":
        from buildtool.oci.layout import open_layout

        return open_layout(self._spec.place)


class RegistrySource:
    """A cache in a registry: a manifest of its own, or one that refers to an image."""

    def __init__(self, spec: "CacheSpec", registries: OpenRegistries) -> None:
        from buildtool.registry.reference import parse_reference

        self._reference = parse_reference(spec.place)
        self._registries = registries
        self.name = f"the cache {spec.place}"

    def contents(self) -> Contents:
        document = self._registries().document(self._reference)
        manifest = decode_manifest(document.data, document.media_type, self.name)
        if not _is_cache(manifest):
            document = self._attached(document.digest)
        manifest = _cache_manifest(document.data, document.media_type, self.name)
        found: list[bytes] = []
        self._read(manifest.config, found.append, lambda done, total: None)
        return _contents(manifest, b"".join(found), self.name)

    def _attached(self, image: Digest) -> "Document":
        """The newest cache that refers to an image; BuildError `no-cache`."""
        from buildtool.registry.fault import Fault, error_of

        repository = self._registries().reading(self._reference)[-1]
        try:
            found = repository.referrers(image, CACHE)
            if not found:
                raise BuildError("no-cache", "what is there is no cache, and none is attached to it")
            return repository.manifest(found[-1].digest)
        except Fault as fault:
            raise error_of(fault, f"cannot get what is attached to {image}") from fault

    def fetch(self, blob: Blob, blobs: Blobs, advance: Advance) -> None:
        with blobs.writer(blob.digest) as out:
            self._read(Descriptor(blob.media_type, blob.digest, blob.size), out.write, advance)

    def _read(self, blob: Descriptor, write: Callable[[bytes], object], advance: Advance) -> None:
        from buildtool.registry.fault import Fault, error_of

        if blob.media_type == CACHE and blob.size > LARGEST_CONFIG:
            raise BuildError("bad-cache", f"its config has {blob.size} bytes")
        repository = self._registries().reading(self._reference)[-1]
        try:
            repository.read_blob(blob, write, advance)
        except Fault as fault:
            raise error_of(fault, f"cannot get {blob.digest} from {repository}") from fault


def _cache_manifest(data: bytes, media_type: str, name: str) -> Manifest:
    manifest = decode_manifest(data, media_type, name)
    if not isinstance(manifest, Manifest) or not _is_cache(manifest):
        raise BuildError("no-cache", "what is there is no cache")
    return manifest


def _is_cache(document: Manifest | IndexRecord) -> bool:
    return isinstance(document, Manifest) and document.config.media_type == CACHE


def _contents(manifest: Manifest, config: bytes, name: str) -> Contents:
    if sha256(config) != manifest.config.digest:
        raise BuildError("bad-cache", "its config has another digest than its manifest says")
    layers = (Blob(layer.digest, layer.size, layer.media_type) for layer in manifest.layers)
    return contents_of(config, layers, name)


# ---------------------------------------------------------------- writing


def write_caches(
    specs: "Iterable[CacheSpec]",
    ledger: "Ledger",
    built: "Built",
    store: "Store",
    form: str,
    registries: OpenRegistries,
    warn: Callable[[Warned], None],
) -> None:
    """Write what a build relied on and made to the caches that were asked for; BuildErrors if they fail."""
    for spec in specs:
        if spec.kind == "inline":
            continue  # `attach_caches` does it, once the image is pushed
        only = None if spec.whole else {layer.diff_id for i in built.images for layer in i.layers}
        manifest = write_cache(store, ledger.used, only, form)
        try:
            _write(spec, manifest, store, registries)
        except BuildError as error:
            if not spec.lenient:
                raise
            warn(Warned("cache-not-written", error.message, hint=error.hint))


def attach_caches(
    ledger: "Ledger",
    built: "Built",
    pushed: "Sequence[tuple[Descriptor, Sequence[str]]]",
    registries: "Registries",
    store: "Store",
    form: str,
) -> None:
    """Push the cache of images beside them, to be found by them; the images stay as they are."""
    from buildtool.registry.push import Pusher
    from buildtool.registry.reference import parse_reference

    only = {layer.diff_id for i in built.images for layer in i.layers}
    for image, names in pushed:
        subject = Blob(image.digest, image.size, image.media_type)
        manifest = write_cache(store, ledger.used, only, form, subject)
        referrer = Descriptor(MANIFEST, manifest.digest, manifest.size, artifact_type=CACHE)
        references = {found.repository: found for found in map(parse_reference, names)}
        for reference in references.values():
            Pusher(registries.writing(reference), store.blobs).refer(image.digest, referrer)


def _write(spec: "CacheSpec", manifest: Blob, store: "Store", registries: OpenRegistries) -> None:
    if spec.kind == "local":
        from buildtool.oci.export import Export, write_layout

        export = Export(manifest.digest, manifest.size, MANIFEST, (f"cache:{spec.tag}",))
        write_layout(spec.place, [export], store.blobs)
        forget_older(spec.place)
        return
    from buildtool.registry.push import Pusher
    from buildtool.registry.reference import parse_reference

    reference = parse_reference(spec.place)
    pusher = Pusher(registries().writing(reference), store.blobs)
    pusher.push(Descriptor(MANIFEST, manifest.digest, manifest.size), (reference.version,))


def forget_older(folder: str) -> None:
    """Remove blobs that no cache of the folder needs any more; nothing, where it holds something else too."""
    from buildtool.oci.layout import open_layout

    layout = open_layout(folder)
    needed: set[str] = set()
    for entry in layout.index().manifests:
        manifest = layout.manifest(entry)
        if not isinstance(manifest, Manifest) or not _is_cache(manifest):
            return
        needed |= {hex_of(blob.digest) for blob in (entry, manifest.config, *manifest.layers)}
    for name in layout.files.blobs():
        if name not in needed:
            os.unlink(f"{folder}/blobs/sha256/{name}")
