"""Collection: removing what no name needs and no build used for a while.

It is safe beside running builds; why is told in `buildtool.store`.
"""

import fcntl
import os
import time
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.store.check import reachable
from buildtool.store.folder import Store
from buildtool.store.scratch import remove_tree, sweep_scratch
from buildtool.store.stamps import SAFE_AGE, locked

#: Seconds: two weeks.
DEFAULT_AGE = 14 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What went: numbers of things, and bytes of blobs."""

    blobs: int = 0
    bytes: int = 0
    snapshots: int = 0
    results: int = 0
    leftovers: int = 0
    caches: int = 0


def sweep(store: Store) -> int:
    """Remove what dead processes left in tmp/ and the snapshots of earlier boots; how many folders went.

    What belongs to subordinate users stays, unless this runs in their namespace;
    hence it is for the worker of a rootless build to call as well.
    """
    removed = sweep_scratch(store.tmp)
    for path in store.snapshots.strangers():
        try:
            remove_tree(path)
            removed += 1
        except OSError:
            continue
    return removed


def collect(store: Store, *, unused_for: float = DEFAULT_AGE) -> Collected:
    """Remove what no name needs and nobody used for `unused_for` seconds.

    Less than `SAFE_AGE` needs the store alone: BuildError `store-busy` while other
    processes have it open.
    """
    if unused_for < SAFE_AGE and not store.alone():
        raise BuildError(
            "store-busy",
            "builds are running in this store",
            hint=f"wait for them, or keep what was used in the last {SAFE_AGE // 3600} hours",
            exit_status=1,
        )
    leftovers = sweep(store)
    oldest = time.time() - unused_for
    results = _collect_results(store, oldest)
    caches = store.caches.remove_unused(oldest)
    snapshots = sum(_collect_snapshot(store, chain, oldest) for chain in store.snapshots.chains())
    with locked(store.lock, fcntl.LOCK_EX):
        kept = reachable(store)
    gone = [_collect_blob(store, digest, oldest) for digest in store.blobs.digests() if digest not in kept]
    sizes = [size for size in gone if size is not None]
    _forget_layers(store)
    return Collected(len(sizes), sum(sizes), snapshots, results, leftovers, caches)


def _collect_results(store: Store, oldest: float) -> int:
    database = store.results.database
    keys = database.select("SELECT key FROM results WHERE used <= ?", (oldest,))
    # Asked again inside the transaction: a build may have used one meanwhile.
    database.write([("DELETE FROM results WHERE key = ? AND used <= ?", [(key, oldest) for (key,) in keys])])
    return len(keys)


def _collect_snapshot(store: Store, chain: Digest, oldest: float) -> bool:
    home = os.path.dirname(f"{store.snapshots.folder}/{chain[7:]}/fs")
    with locked(store.lock, fcntl.LOCK_EX):
        try:
            if os.stat(home).st_mtime > oldest:
                return False
            store.snapshots.remove(chain)
        except FileNotFoundError:
            return False
        except BuildError as error:
            # It is a snapshot no more; a sweep inside the user namespace takes its files.
            return error.code == "needs-namespace"
    return True


def _collect_blob(store: Store, digest: Digest, oldest: float) -> int | None:
    with locked(store.lock, fcntl.LOCK_EX):
        try:
            found = os.stat(store.blobs.path(digest))
        except FileNotFoundError:
            return None
        if found.st_mtime > oldest:
            return None
        store.blobs.remove(digest)
    return found.st_size


def _forget_layers(store: Store) -> None:
    database = store.results.database
    rows = database.select("SELECT diff_id, compression, digest FROM layer_blobs")
    gone = [row for row in rows if not os.path.exists(store.blobs.path(row[2]))]
    database.write([("DELETE FROM layer_blobs WHERE diff_id = ? AND compression = ? AND digest = ?", gone)])
