"""Compression carried out: a layer that a build made earlier gets the stored form that an image needs."""

from buildtool.digest import parse_digest
from buildtool.executor.work import ChainTree, CompressWork, LayerMissing, Outcome, chain_ids
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.changes import changes


def carry_out(work: CompressWork, shop: Workshop, observer: Observer) -> Outcome:
    """Write the topmost layer of the chain again, from its snapshot; its DiffID must come out the same."""
    layer = work.chain.layers[-1]
    below = ChainTree(work.chain.layers[:-1])
    top = shop.snapshots(work.chain, observer)[0]
    with shop.stack(below, observer) as lower:
        outcome = shop.write(changes(top, lower, shop.xattr_prefix), work.compression, observer)
    if outcome.diff_id != layer.diff_id:
        shop.store.blobs.remove(parse_digest(outcome.blob))
        shop.store.snapshots.remove(chain_ids(work.chain.layers)[-1])
        raise LayerMissing(layer.diff_id)
    return outcome
