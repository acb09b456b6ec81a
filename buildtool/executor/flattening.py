"""Flattening: all files of a chain of layers as one plain tar archive, made once and remembered."""

from collections.abc import Callable

from buildtool.digest import Digest, key_of, parse_digest
from buildtool.executor.cache import Cache
from buildtool.executor.pool import WorkerProcess
from buildtool.executor.work import ChainTree, FlattenWork, LayerRef, Outcome, chain_ids
from buildtool.store import Store


def flattened(store: Store, cache: Cache, chain: ChainTree, make: Callable[[FlattenWork], Outcome]) -> Digest:
    """The blob that is the archive of a chain; `make` is called where it is not there yet."""
    name = key_of({"root": next(reversed(chain_ids(chain.layers)), None)})
    known = store.results.get(name)
    found = None if known is None else cache.stored(parse_digest(known.decode()), "none")
    if found is not None:
        return found[0]
    outcome = make(FlattenWork(chain))
    cache.keep_form(outcome)
    store.results.put(name, "root", outcome.diff_id.encode())
    return parse_digest(outcome.blob)


def flatten(store: Store, layers: tuple[LayerRef, ...]) -> Digest:
    """`flattened` for layers that are in the store, by a worker of its own."""

    def make(work: FlattenWork) -> Outcome:
        worker = WorkerProcess(store.path, None)
        try:
            return worker.carry_out(work, lambda event: None)
        finally:
            worker.close()

    return flattened(store, Cache(store), ChainTree(layers), make)
