"""The action cache: the key of a step and of what its inputs gave, to what it gave."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from buildtool.digest import Digest, Key, parse_digest
from buildtool.executor.work import LayerRef, Outcome
from buildtool.lock.exchanges import Exchange
from buildtool.store import Store, chain_id

if TYPE_CHECKING:
    from buildtool.executor.travel import Ledger

#: The stored forms of a layer, in the order in which a step would rather read them.
FORMS = ("none", "gzip", "zstd")


class LayerResult(msgspec.Struct, frozen=True, array_like=True):
    """What a filesystem step gave.

    `reached_out` stands for a watched process that wanted the network, and has no layer.
    `exchanges` are what a process exchanged with the internet while it was recorded.
    """

    diff_id: str
    size: int
    hermetic: bool
    reached_out: bool = False
    mended: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


class Cache:
    """Results of steps, as far as their layers are still to be had."""

    def __init__(self, store: Store, ledger: "Ledger | None" = None) -> None:
        self._store = store
        self._ledger = ledger

    def layer(self, key: Key, below: Digest | None) -> tuple[LayerResult, LayerRef | None] | None:
        """The result under a key, and its layer on top of the chain `below`; None if either is gone."""
        data = self._store.results.get(key)
        result = None if data is None else msgspec.msgpack.decode(data, type=LayerResult)
        found = None if result is None else self._usable(result, below)
        if found is None and self._ledger is not None:
            result = self._ledger.result(key)
            found = None if result is None else self._usable(result, below)
            if found is not None:
                self.keep(key, "imported", found[0])
        if found is not None and self._ledger is not None:
            self._ledger.used[key] = found[0]
        return found

    def _usable(
        self, result: LayerResult, below: Digest | None
    ) -> tuple[LayerResult, LayerRef | None] | None:
        if result.reached_out:
            return result, None
        ref = self.ref(parse_digest(result.diff_id), below, result.size)
        return None if ref is None else (result, ref)

    def bring(self, layers: Iterable[LayerRef]) -> None:
        """Fetch what only another cache has of these layers; LayerMissing if it cannot be had right."""
        if self._ledger is not None:
            ledger = self._ledger
            # One without a blob has a snapshot here, or is but a result.
            ledger.bring(layer.diff_id for layer in layers if layer.blob or ledger.is_bare(layer.diff_id))

    def bodies(self, exchanges: Iterable[Exchange]) -> list[Digest]:
        """The bodies of answers that are not there; the use of those that are is noted."""
        bodies = dict.fromkeys(e.body for e in exchanges if e.body is not None)
        return [body for body in bodies if not self._store.blobs.has(body)]

    def ref(self, diff_id: Digest, below: Digest | None, size: int) -> LayerRef | None:
        """A layer with the stored form that is there; None with neither a stored form nor a snapshot."""
        for form in FORMS:
            blob = self.stored(diff_id, form)
            if blob is not None:
                return LayerRef(diff_id, blob[0], size)
        if self._store.snapshots.path(chain_id(below, diff_id)):
            return LayerRef(diff_id, "", size)
        if self._ledger is None:
            return None
        elsewhere = self._ledger.layer(diff_id)
        if elsewhere is not None:
            return LayerRef(diff_id, elsewhere.digest, size)
        return LayerRef(diff_id, "", size) if self._ledger.is_bare(diff_id) else None

    def stored(self, diff_id: Digest, form: str) -> tuple[Digest, int] | None:
        """The digest and size of a layer's stored form, if its blob is there."""
        found = self._store.results.layer_blob(diff_id, form)
        return found if found is not None and self._store.blobs.has(found[0]) else None

    def keep_form(self, outcome: Outcome) -> None:
        """Remember the stored form that an outcome brought."""
        if outcome.blob:
            self._store.results.put_layer_blob(
                parse_digest(outcome.diff_id),
                outcome.compression,
                parse_digest(outcome.blob),
                outcome.blob_size,
            )

    def keep(self, key: Key, kind: str, result: LayerResult) -> None:
        """Remember a result."""
        self._store.results.put(key, kind, msgspec.msgpack.encode(result))
        if self._ledger is not None:
            self._ledger.used[key] = result

    @contextmanager
    def only_one(self, key: Key) -> Iterator[None]:
        """Keep other builds on this store from carrying out the same step meanwhile."""
        folder = os.path.join(self._store.path, "locks")
        os.makedirs(folder, exist_ok=True)
        fd = os.open(os.path.join(folder, key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
