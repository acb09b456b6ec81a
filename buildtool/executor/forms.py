"""Forms of what was made: layers compressed as the build wants them, and a chain's files as one archive."""

from buildtool.digest import Digest, parse_digest
from buildtool.executor.cache import Cache
from buildtool.executor.flattening import flattened
from buildtool.executor.foreman import Foreman
from buildtool.executor.outputs import Chain
from buildtool.executor.supply import Supply
from buildtool.executor.work import ChainTree, CompressWork, FlattenWork, LayerRef, Outcome
from buildtool.store import Store


class Forms:
    """Makes stored forms that are not there yet; `compression` is the build's."""

    def __init__(
        self, store: Store, cache: Cache, supply: Supply, foreman: Foreman, compression: str
    ) -> None:
        self._store = store
        self._cache = cache
        self._supply = supply
        self._foreman = foreman
        self._compression = compression

    def compress(self, chain: Chain, layers: int) -> tuple[Digest, int]:
        """The stored form, in the build's compression, of the chain's layer number `layers` - 1."""
        part = ChainTree(chain.layers[:layers])
        diff_id = part.layers[-1].diff_id
        self._cache.bring(part.layers[-1:])
        found = self._cache.stored(diff_id, self._compression)
        if found is None:
            self._bring(part.layers)
            outcome = self._foreman.carry_out(CompressWork(part, self._compression))
            self._cache.keep_form(outcome)
            found = parse_digest(outcome.blob), outcome.blob_size
        return found

    def flatten(self, chain: Chain) -> Digest:
        """The blob that is a plain tar archive of all files of the chain."""

        def make(work: FlattenWork) -> Outcome:
            self._bring(chain.layers)
            return self._foreman.carry_out(work)

        return flattened(self._store, self._cache, chain.tree, make)

    def _bring(self, layers: tuple[LayerRef, ...]) -> None:
        self._cache.bring(layers)
        self._supply.bring_bases([layer.diff_id for layer in layers])
