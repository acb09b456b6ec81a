"""Caches that travel: what steps gave, and the layers of it, as an artifact that other machines use.

An OCI manifest with a config of type `CACHE`, its layers being those of the results:

    config   {"format":1,
              "entries":[{"key":…,"result":[diff id, size, hermetic, …]}, …],     by key
              "layers":[{"diffId":…,"digest":…,"form":"gzip","by":…}, …]}         by diff id

A *result* under a key is a claim that nobody can check without carrying the step out: it is
believed because its cache was named.  Everything else is checked.  A layer is fetched when it
is needed, not before, and is only ever used once its bytes have the digest that the manifest
says, and unpack to the diff id that the result says.  A source with which anything is wrong is
dropped, whole, and the steps are carried out.

A result may come without its layer: it lets the steps above be found.  Once a step that has to be
carried out needs the files of one, no such result counts any more, and the build begins again.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from buildtool.diag import BuildError, Warned
from buildtool.digest import Digest, Key, hex_of, parse_digest, sha256
from buildtool.executor.work import LayerElsewhere, LayerMissing
from buildtool.layers.compression import compression
from buildtool.store import Blobs, Store
from buildtool.tally import Advance, Tally

if TYPE_CHECKING:
    from buildtool.executor.cache import LayerResult

#: The media type of the config, by which a cache is known.
CACHE = "application/vnd.buildtool.cache.config.v1+json"
FORMAT = 1
#: Bytes of the largest config that is read.
LARGEST_CONFIG = 64 << 20

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
#: Failed sources after which none is asked any more: each costs a build a new beginning.
_MOST_FAILURES = 2
#: Layers that are fetched side by side.
_AT_ONCE = 8

Telling: TypeAlias = Callable[[int], AbstractContextManager[Advance]]


class LayerForm(msgspec.Struct, frozen=True, rename="camel"):
    """A stored form of a layer: a blob of the manifest; `by` names the compressor to the letter."""

    diff_id: Digest
    digest: Digest
    form: str
    by: str


class Entry(msgspec.Struct, frozen=True):
    """What a step gave; the result as `cache.LayerResult` is encoded."""

    key: str
    result: msgspec.Raw


class Document(msgspec.Struct, frozen=True):
    """The config."""

    format: int
    entries: tuple[Entry, ...]
    layers: tuple[LayerForm, ...]


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer's blob: its digest and its size in bytes."""

    digest: Digest
    size: int
    media_type: str = ""


@dataclass(slots=True)
class Contents:
    """What a cache holds, by key and by diff id."""

    results: dict[str, "LayerResult"] = field(default_factory=dict)
    layers: dict[Digest, tuple[Blob, LayerForm]] = field(default_factory=dict)


class Source(Protocol):
    """A cache somewhere; `name` is for people."""

    @property
    def name(self) -> str: ...

    def contents(self) -> Contents:
        """What it holds; BuildError if it cannot be read or is no cache."""

    def fetch(self, blob: Blob, blobs: Blobs, advance: Advance) -> None:
        """Put a blob among ours, held against its digest; BuildError if it cannot be had."""


def contents_of(config: bytes, blobs: Iterable[Blob], name: str) -> Contents:
    """What a config says, as far as its layers are among `blobs`; BuildError `bad-cache`."""
    from buildtool.executor.cache import LayerResult

    try:
        document = msgspec.json.decode(config, type=Document)
        if document.format != FORMAT:
            raise BuildError("bad-cache", f"{name} has format {document.format}; {FORMAT} is known")
        found = Contents()
        there = {blob.digest: blob for blob in blobs}
        for layer in document.layers:
            blob = there.get(layer.digest)
            if blob is not None and layer.by == _by(layer.form):
                found.layers[parse_digest(layer.diff_id)] = blob, layer
        for entry in document.entries:
            result = msgspec.json.decode(entry.result, type=LayerResult)
            if not result.reached_out:
                parse_digest(result.diff_id)
            found.results[entry.key] = result
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BuildError("bad-cache", f"{name} is not what it should be: {error}") from error
    return found


def _by(form: str) -> str:
    """The compressor of a form as it is here; empty for a form that is not known."""
    try:
        return str(compression(form))
    except ValueError:
        return ""


class Ledger:
    """What a build takes from other caches and what it gives to them.  Used from many threads.

    Sources are opened when the store lacks something for the first time.  `used` gathers each
    result that the build relied on or made; with `whole` every layer gets a stored form.
    `telling` is told how many layers are fetched, and how far that is.
    """

    def __init__(
        self,
        store: Store,
        sources: Iterable[Source],
        warn: Callable[[Warned], None],
        telling: Telling,
        *,
        whole: bool = False,
    ) -> None:
        self.used: dict[Key, LayerResult] = {}
        self.whole = whole
        self._store = store
        self._warn = warn
        self._telling = telling
        self._waiting = list(sources)
        self._open: list[tuple[Source, Contents]] = []
        self._failures = 0
        self._bare: set[Digest] = set()
        self._takes_bare = True
        self._lock = threading.RLock()
        self._fetching: dict[Digest, threading.Lock] = {}

    def result(self, key: Key) -> "LayerResult | None":
        """What a cache claims that the step with this key gave; one that has its layer goes before others."""
        found = [c.results[key] for _, c in self._sources() if key in c.results]
        for result in found:
            if result.reached_out or self.layer(parse_digest(result.diff_id)):
                return result
        if not found or not self._takes_bare:
            return None
        with self._lock:
            self._bare.add(parse_digest(found[0].diff_id))
        return found[0]

    def is_bare(self, diff_id: Digest) -> bool:
        """Whether a layer is known as the result of a step alone."""
        with self._lock:
            return diff_id in self._bare

    def layer(self, diff_id: Digest) -> Blob | None:
        """The blob that a layer can be fetched as."""
        at = self._at(diff_id)
        return None if at is None else at[1][0]

    def bring(self, diff_ids: Iterable[Digest]) -> None:
        """Fetch layers that are not there, side by side; LayerMissing if one cannot be had right.

        LayerElsewhere if there is but the result of a step.
        """
        asked = list(dict.fromkeys(diff_ids))
        with self._lock:
            if self._bare.intersection(asked):
                self._bare.clear()
                self._takes_bare = False
                raise LayerElsewhere
        wanted = [d for d in asked if self._lacks(d)]
        if not wanted:
            return
        with self._telling(len(wanted)) as advance:
            failed = self._bring_all(wanted, advance)
        if failed is not None:
            raise failed

    def _bring_all(self, wanted: list[Digest], advance: Advance) -> LayerMissing | None:
        """Fetch layers; what went wrong, since it is no news but for who carries the steps out."""
        from concurrent.futures import ThreadPoolExecutor

        sizes = [blob.size for d in wanted if (blob := self.layer(d)) is not None]
        tally = Tally(sum(sizes), advance)
        try:
            with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
                list(pool.map(lambda diff_id: self._bring(diff_id, tally.of(diff_id)), wanted))
        except LayerMissing as error:
            return error
        return None

    def _lacks(self, diff_id: Digest) -> bool:
        """Whether a layer is to be had from a source, and not here yet under the name of its diff id."""
        at = self._at(diff_id)
        if at is None:
            return False
        here = self._store.results.layer_blob(diff_id, at[1][1].form)
        return here is None or not self._store.blobs.has(here[0])

    def _at(self, diff_id: Digest) -> "tuple[Source, tuple[Blob, LayerForm]] | None":
        with self._lock:
            return next(((s, c.layers[diff_id]) for s, c in self._open if diff_id in c.layers), None)

    def _bring(self, diff_id: Digest, advance: Advance) -> None:
        with self._lock:
            only_one = self._fetching.setdefault(diff_id, threading.Lock())
        with only_one:
            if not self._lacks(diff_id):
                return
            at = self._at(diff_id)
            if at is None:
                raise LayerMissing(diff_id)
            source, (blob, layer) = at
            was_there = self._store.blobs.has(blob.digest)
            try:
                if not was_there:
                    source.fetch(blob, self._store.blobs, advance)
                self._check(diff_id, blob.digest)
            except BuildError as error:
                if not was_there:
                    self._store.blobs.remove(blob.digest)
                self._drop(source, error)
                raise LayerMissing(diff_id) from error
            self._store.results.put_layer_blob(diff_id, layer.form, blob.digest, blob.size)

    def _check(self, diff_id: Digest, digest: Digest) -> None:
        """See that a blob unpacks to the diff id; BuildError `bad-cache`."""
        from buildtool.layers.decompress import decompressed

        total = hashlib.sha256()
        with self._store.blobs.open(digest) as blob:
            for chunk in decompressed(blob):
                total.update(chunk)
        if total.hexdigest() != hex_of(diff_id):
            raise BuildError("bad-cache", f"{digest} is not the layer {diff_id}")

    def _sources(self) -> list[tuple[Source, Contents]]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for source in waiting:
                try:
                    self._open.append((source, source.contents()))
                except BuildError as error:
                    self._tell(source, error)
            return list(self._open)

    def _drop(self, source: Source, error: BuildError) -> None:
        with self._lock:
            if all(source is not s for s, _ in self._open):
                return
            self._failures += 1
            self._open = [
                (s, c) for s, c in self._open if s is not source and self._failures < _MOST_FAILURES
            ]
            self._tell(source, error)

    def _tell(self, source: Source, error: BuildError) -> None:
        self._warn(Warned("cache-unusable", f"{source.name} is not used: {error.message}", hint=error.hint))


def write_cache(
    store: Store,
    used: Mapping[Key, "LayerResult"],
    only: set[Digest] | None,
    form: str,
    subject: Blob | None = None,
) -> Blob:
    """Put a cache of results among the store's blobs: its manifest.

    `only` are the diff ids of the layers that it holds, None for all that have a stored form in
    `form`; results are in it with their layers or without.  `subject` is the image that it is to be found by.
    """
    entries, layers, blobs = [], {}, {}
    for key, result in sorted(used.items()):
        diff_id = Digest(result.diff_id)
        stored = store.results.layer_blob(diff_id, form) if only is None or diff_id in only else None
        if stored is not None and store.blobs.has(stored[0]):
            layers[diff_id] = LayerForm(diff_id, stored[0], form, _by(form))
            blobs[stored[0]] = _descriptor(Blob(*stored, compression(form).media_type))
        entries.append(Entry(key, msgspec.Raw(msgspec.json.encode(result))))
    document = Document(FORMAT, tuple(entries), tuple(layers[d] for d in sorted(layers)))
    config = msgspec.json.encode(document)
    manifest = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(Blob(sha256(config), len(config), CACHE)),
            "layers": [blobs[d] for d in sorted(blobs)],
            **({"subject": _descriptor(subject)} if subject else {}),
        }
    )
    for data in (config, manifest):
        store.blobs.put(data)
    return Blob(sha256(manifest), len(manifest), _MANIFEST)


def _descriptor(blob: Blob) -> dict[str, str | int]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
