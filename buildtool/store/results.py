"""Results: what steps gave, which blobs layers have, what folders and frontends came to.

Everything here can be worked out again; the index only saves the work.  Values
are opaque bytes.  Writes inside a `batch` are kept in memory, where reads see
them, and are committed now and then and at the end: one sync of the disk for many.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from buildtool.digest import Digest
from buildtool.store.blobs import Blobs
from buildtool.store.database import Database
from buildtool.store.refs import Refs
from buildtool.store.stamps import GRANULARITY

#: Seconds after which a batch commits what it has, so that a killed build loses little.
_COMMIT_EVERY = 0.5
#: SQLite's default bound on the parameters of one statement is 999 in old releases.
_AT_ONCE = 500
_LARGEST_MANIFEST = 4 << 20

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

_PUT_RESULT = "INSERT OR REPLACE INTO results (key, kind, value, used) VALUES (?, ?, ?, ?)"
_PUT_LAYER = "INSERT OR REPLACE INTO layer_blobs (diff_id, compression, digest, size) VALUES (?, ?, ?, ?)"
_USED = "UPDATE results SET used = ? WHERE key = ?"


class Results:
    """The index of a store, and its refs; nothing is opened before it is asked for."""

    def __init__(self, path: str, refs: Refs, blobs: Blobs) -> None:
        self.database = Database(path)
        self._refs = refs
        self._blobs = blobs
        self._mutex = threading.RLock()
        self._depth = 0
        self._committed = 0.0
        self._results: dict[str, tuple[str, bytes]] = {}
        self._layers: dict[tuple[str, str], tuple[Digest, int]] = {}
        self._stale: set[str] = set()

    # ------------------------------------------------------------ results of steps

    def get(self, key: str) -> bytes | None:
        """The value kept under `key`, or None."""
        return self.get_many((key,)).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The values of those keys that have one."""
        found: dict[str, bytes] = {}
        asked: list[str] = []
        with self._mutex:
            for key in keys:
                if key in self._results:
                    found[key] = self._results[key][1]
                else:
                    asked.append(key)
        limit = time.time() - GRANULARITY
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            sql = f"SELECT key, value, used FROM results WHERE key IN ({marks})"
            for key, value, used in self.database.select(sql, some):
                found[key] = value
                if used < limit:
                    with self._mutex:
                        self._stale.add(key)
        return found

    def put(self, key: str, kind: str, value: bytes) -> None:
        """Keep `value` under `key`; `kind` groups values for people, such as `run`."""
        with self._mutex:
            self._results[key] = (kind, value)
            self._written()

    # ------------------------------------------------------------ layers

    def layer_blob(self, diff_id: Digest, compression: str) -> tuple[Digest, int] | None:
        """Digest and size of the blob that a layer was compressed to; it may be gone: ask `blobs.has`."""
        with self._mutex:
            if pending := self._layers.get((diff_id, compression)):
                return pending
        sql = "SELECT digest, size FROM layer_blobs WHERE diff_id = ? AND compression = ?"
        rows = self.database.select(sql, (diff_id, compression))
        return (Digest(rows[0][0]), rows[0][1]) if rows else None

    def put_layer_blob(self, diff_id: Digest, compression: str, digest: Digest, size: int) -> None:
        """Keep what blob a layer was compressed to, in bytes; `compression` names the whole format."""
        with self._mutex:
            self._layers[diff_id, compression] = (digest, size)
            self._written()

    # ------------------------------------------------------------ refs

    def set_ref(self, name: str, manifest: Digest) -> None:
        """Let `name` stand for a manifest or index that is among the blobs."""
        self.flush()
        document = json.loads(self._blobs.read(manifest, _LARGEST_MANIFEST))
        # A manifest need not say what it is (image-spec, "mediaType"); its parts do.
        kind = _INDEX if "manifests" in document else _MANIFEST
        self._refs.set(name, manifest, self._blobs.size(manifest), str(document.get("mediaType") or kind))

    def ref(self, name: str) -> Digest | None:
        """The manifest or index that `name` stands for."""
        return self._refs.get(name)

    def refs(self) -> dict[str, Digest]:
        """Every name, in order."""
        return self._refs.all()

    # ------------------------------------------------------------ writing

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Gather the writes of all threads; what was put is on disk when the block ends, however it does."""
        with self._mutex:
            self._depth += 1
            self._committed = time.monotonic()
        try:
            yield
        finally:
            with self._mutex:
                self._depth -= 1
            self.flush()

    def flush(self) -> None:
        """Commit what is pending."""
        with self._mutex:
            if not (self._results or self._layers or self._stale):
                return
            now = int(time.time())
            statements: list[tuple[str, list[Any]]] = [
                (_PUT_RESULT, [(key, kind, value, now) for key, (kind, value) in self._results.items()]),
                (_PUT_LAYER, [(*name, *blob) for name, blob in self._layers.items()]),
                (_USED, [(now, key) for key in self._stale]),
            ]
            self.database.write(statements)
            self._results.clear()
            self._layers.clear()
            self._stale.clear()
            self._committed = time.monotonic()

    def close(self) -> None:
        """Commit what is pending and close the index; it opens again by itself."""
        self.flush()
        self.database.close()

    def _written(self) -> None:
        if self._depth == 0 or time.monotonic() - self._committed > _COMMIT_EVERY:
            self.flush()
