"""The workshop: what every step carried out in a worker has at hand."""

import os
import threading
from collections.abc import Iterable

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.executor.work import ChainTree, LayerMissing, LayerRef, Outcome, chain_ids
from buildtool.layers.compression import compression as compression_of
from buildtool.layers.entry import Content, Entry
from buildtool.layers.tar import write_layer
from buildtool.layers.tree import Stack, XattrPrefix
from buildtool.sandbox.overlay import Overlays, xattr_prefix
from buildtool.sandbox.run import Sandbox
from buildtool.store import Store


class Observer:
    """Hears of the progress of one spec; `cancel` is set when it shall stop."""

    def __init__(self, cancel: threading.Event) -> None:
        self.cancel = cancel

    def output(self, data: bytes) -> None:
        """A process wrote."""

    def advanced(self, phase: str, done: int, total: int | None) -> None:
        """A long operation went on."""


class Meter:
    """Adds up what a long operation has done, and tells of it once for each `STEP` bytes."""

    STEP = 8 << 20

    def __init__(self, observer: Observer, phase: str, total: int | None) -> None:
        self._observer = observer
        self._phase = phase
        self._total = total
        self._done = self._told = 0

    def add(self, count: int) -> None:
        """Some more bytes are done."""
        self._done += count
        if self._done - self._told >= self.STEP or self._done == self._total:
            self._told = self._done
            self._observer.advanced(self._phase, self._done, self._total)


class Workshop:
    """A store seen from inside the namespaces, and the means to run processes there."""

    def __init__(self, store: Store, runtime: str | None) -> None:
        self.store = store
        self.xattr_prefix: XattrPrefix = xattr_prefix()
        self._runtime = runtime
        self._sandbox: Sandbox | None = None
        self._overlays: Overlays | None = None
        self._unpacking: dict[Digest, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox, made when it is first needed: file operations need no OCI runtime."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = Sandbox(self._folder("sandbox"), self._runtime)
            return self._sandbox

    @property
    def overlays(self) -> Overlays:
        """The overlay mounts of this worker."""
        with self._lock:
            if self._overlays is None:
                self._overlays = Overlays(self._folder("links"))
            return self._overlays

    def _folder(self, kind: str) -> str:
        path = self.store.temporary(kind)
        os.mkdir(path, 0o700)
        return path

    def snapshots(self, chain: ChainTree, observer: Observer) -> list[str]:
        """The folders of a chain's snapshots, topmost first, unpacking what is missing."""
        folders: list[str] = []
        for chain_id, layer in zip(chain_ids(chain.layers), chain.layers, strict=True):
            with self._lock:
                lock = self._unpacking.setdefault(chain_id, threading.Lock())
            with lock:
                found = self.store.snapshots.path(chain_id)
                if found is None:
                    self._unpack(layer, chain_id, folders, observer)
                    found = self.store.snapshots.path(chain_id)
                assert found is not None
            folders.insert(0, found)
        return folders

    def stack(self, chain: ChainTree, observer: Observer) -> Stack:
        """The tree that a chain makes."""
        return Stack(self.snapshots(chain, observer), self.xattr_prefix)

    def _unpack(self, layer: LayerRef, chain_id: Digest, lowers: list[str], observer: Observer) -> None:
        from buildtool.layers.unpack import unpack

        if not layer.blob or not self.store.blobs.has(parse_digest(layer.blob)):
            raise LayerMissing(layer.diff_id)
        try:
            with (
                self.store.snapshots.stage() as staged,
                self.store.blobs.open(parse_digest(layer.blob)) as stream,
            ):
                unpack(
                    stream,
                    staged.fs,
                    lowers=lowers,
                    xattr_prefix=self.xattr_prefix,
                    expect=layer.diff_id,
                    advance=Meter(observer, "unpack", layer.size or None).add,
                )
                self.store.snapshots.adopt(staged, chain_id)
        except BuildError as e:
            if e.code == "corrupt-blob":
                raise LayerMissing(layer.diff_id) from e
            raise

    def write(
        self, entries: Iterable[tuple[Entry, Content]], compression: str | None, observer: Observer
    ) -> Outcome:
        """Write a layer; its stored form is `gzip`, `zstd`, `none` (the tar itself), or nothing (None)."""
        if compression is None:
            plain = write_layer(entries, compression=None, sink=None)
            return Outcome(diff_id=plain.diff_id, size=plain.size)
        form = None if compression == "none" else compression_of(compression)
        with self.store.blobs.writer() as writer:
            layer = write_layer(
                entries,
                compression=form,
                sink=writer.write,
                advance=Meter(observer, "compress", None).add,
            )
        return Outcome(
            diff_id=layer.diff_id,
            size=layer.size,
            blob=writer.digest,
            blob_size=writer.size,
            compression=compression,
        )
