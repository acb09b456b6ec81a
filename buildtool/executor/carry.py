"""Carrying out: a step's output is recalled where that needs no work, and made where it does.

sources    what needs no work                kept       layers of steps, by their keys
supply     bytes that steps need             processes  RUN: watched, replayed, recorded
foreman    the worker process                forms      compressed layers, flat archives
"""

from dataclasses import dataclass

from buildtool.digest import parse_digest
from buildtool.executor.api import BuildOptions, Fetcher, Reached, Recorded
from buildtool.executor.cache import Cache
from buildtool.executor.foreman import Foreman
from buildtool.executor.forms import Forms
from buildtool.executor.kept import Kept, base_of
from buildtool.executor.outputs import Chain, Output
from buildtool.executor.plan import Node
from buildtool.executor.processes import Processes
from buildtool.executor.progress import Progress
from buildtool.executor.sources import Sources
from buildtool.executor.specs import file_work, trees_of
from buildtool.executor.supply import Supply
from buildtool.executor.work import ChainTree, LayerRef, Outcome, SnapshotWork
from buildtool.graph.model import FileOp, Run
from buildtool.store import Store


@dataclass(frozen=True, slots=True)
class How:
    """What making a step's output was like: bytes of its layer, and what was mended in it."""

    size: int | None = None
    mended: tuple[str, ...] = ()


class Carrier:
    """Recalls outputs from the cache, and makes them with the worker's help.  Used from many threads."""

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        recorded: Recorded,
        progress: Progress,
        options: BuildOptions,
    ) -> None:
        self.store = store
        self.options = options
        self.cache = Cache(store, options.ledger)
        self.supply = Supply(store, fetcher, progress)
        self._foreman = Foreman(store.path, options.runtime, progress)
        self.forms = Forms(store, self.cache, self.supply, self._foreman, options.compression)
        self._sources = Sources(store, self.supply, self._foreman.expect_work)
        self._kept = Kept(self.cache, recorded, options)
        self._processes = Processes(
            self._foreman, self._kept, self.cache, self.supply, recorded, progress, options
        )

    def close(self) -> None:
        """Stop what goes on, and remove what was only for this build."""
        self._foreman.close()
        self._sources.close()

    def recall(self, node: Node, known: dict[int, Output]) -> Output | None:
        """The node's output as far as that needs no work; sources always have one."""
        if isinstance(node.step, FileOp | Run):
            return self._kept.layer(node, node.step, known)
        return self._sources.output(node)

    def carry_out(self, node: Node, known: dict[int, Output]) -> tuple[Output, How]:
        """Make the node's output, or find that another build just did."""
        step = node.step
        assert isinstance(step, FileOp | Run)
        with self.cache.only_one(self._kept.keys(step, known).action):
            output = self._kept.layer(node, step, known)
            if output is not None:
                return output, How()
            self._bring(node, step, known)
            self.cache.bring(layer for o in known.values() if isinstance(o, Chain) for layer in o.layers)
            outcome, network = self._make(node, step, known)
        ref = LayerRef(parse_digest(outcome.diff_id), outcome.blob, outcome.size)
        chain = base_of(step, known).on_top(ref, node.info.title, network)
        return chain, How(outcome.size, outcome.mended)

    def _bring(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> None:
        """Bring what a step needs; what a process will run on is unpacked while the rest arrives."""
        layers = [x for x in base_of(step, known).layers if self.supply.base(x.diff_id) is not None]
        diff_ids = [layer.diff_id for layer in layers]
        if isinstance(step, Run) and len(layers) > 1 and self.supply.lacks(diff_ids):
            from buildtool.executor.ahead import Ahead

            def unpack(chain: ChainTree) -> None:
                self._foreman.send(node, SnapshotWork(chain))

            def there(layer: LayerRef) -> bool:
                return not self.supply.lacks([layer.diff_id])

            with Ahead(layers, there, unpack) as ahead:
                self.supply.bring_bases(diff_ids, ahead.arrived)
        self.supply.bring(node, known)

    def _make(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> tuple[Outcome, Reached]:
        # Asked again: while this step waited, one that does the same may have been recorded.
        keys = self._kept.keys(step, known)
        trees = trees_of(known, self._sources.listing_file, lambda files: self.supply.git_archive(files.key))
        form = self.options.compression if node.exported else None
        if isinstance(step, Run):
            return self._processes.carry_out(node, step, keys, trees, form)
        outcome = self._foreman.send(node, file_work(step, trees, form or "none"))
        self._kept.keep(keys.action, "fileop", outcome)
        return outcome, "none"
