"""The executor: takes what the cache knows, and has the rest carried out, side by side.

    WAITING --inputs known--> READY --cache knows--> DONE
                                |
                                +--started--> RUNNING --> DONE | FAILED

A first pass in topological order asks the cache; a build in which nothing
changed ends there, without a worker or a thread.  What is left is carried out by
the worker process, at most `jobs` steps at once.  A failure stops the others.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from buildtool.diag import BuildError, Warned
from buildtool.executor.api import (
    INSECURE,
    BuildOptions,
    Built,
    BuiltImage,
    BuiltStep,
    Fetcher,
    Recorded,
    Result,
)
from buildtool.executor.assembly import Assembly
from buildtool.executor.carry import Carrier
from buildtool.executor.outputs import Chain, Nothing, Output
from buildtool.executor.plan import Node, plan
from buildtool.executor.progress import Finished, Progress, StepInfo
from buildtool.executor.work import LayerElsewhere, LayerMissing
from buildtool.graph.model import Image, Index, Run, Step, walk
from buildtool.store import Store

if TYPE_CHECKING:
    from concurrent.futures import Future

#: The kinds of steps that are work: their results are what the cache is about.
_WORK = ("fileop", "run")

#: How often a build begins again because a layer that the cache promised was damaged.
_ATTEMPTS = 4


class Executor:
    """Builds graphs on one store.

    `fetcher` brings what is not there, `recorded` knows what steps ask of the internet,
    `progress` hears of it all.
    """

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        recorded: Recorded,
        progress: Progress,
        options: BuildOptions,
    ) -> None:
        self._store = store
        self._recorded = recorded
        self._fetcher = fetcher
        self._progress = _OneAtATime(progress)
        self._options = options

    def build(self, roots: Sequence[Image | Index]) -> Built:
        """Carry the graph out; BuildError, placed at the step's origin, if it cannot be."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._build(roots)
            except LayerElsewhere:
                continue
            except LayerMissing as e:
                self._progress.warned(Warned("layer-healed", f"{e.message}; it is made again"))
        return self._build(roots)

    def _build(self, roots: Sequence[Image | Index]) -> Built:
        steps: list[Step] = list(roots)
        nodes = plan(steps)
        _check_entitlements(nodes, self._options.lent.allow)
        carrier = Carrier(self._store, self._fetcher, self._recorded, self._progress, self._options)
        try:
            # Results of quick steps are committed together, twice a second; a sync for each
            # would take as long as many a step.
            with self._store.results.batch():
                return _Build(nodes, carrier, self._progress, self._options.jobs).build(roots)
        finally:
            carrier.close()


def _check_entitlements(nodes: list[Node], allow: frozenset[str]) -> None:
    """Refuse what the person who builds did not allow, also where the cache has its result."""
    for node in nodes:
        if isinstance(node.step, Run) and node.step.security == "insecure" and INSECURE not in allow:
            raise BuildError(
                "insecure-not-allowed",
                "a step with all privileges is not allowed in this build",
                span=node.info.span,
                hint=f"--allow {INSECURE} allows it, for Dockerfiles that you trust with this machine",
            )


class _Build:
    def __init__(self, nodes: list[Node], carrier: Carrier, progress: Progress, jobs: int) -> None:
        self.nodes = nodes
        self.carrier = carrier
        self.progress = progress
        self.jobs = jobs
        self.outputs: dict[int, Output] = {}
        self.cached = 0
        self.executed = 0

    def build(self, roots: Sequence[Image | Index]) -> Built:
        self.progress.planned([n.info for n in self.nodes])
        pending = [n for n in self.nodes if not self._from_cache(n)]
        if pending:
            self._carry_out(pending)
        ledger = self.carrier.options.ledger
        if ledger is not None and ledger.whole:
            self._store_all()
        assembly = Assembly(self.carrier)
        results: list[Result] = []
        for root in roots:
            if isinstance(root, Index):
                images = tuple(self._image(assembly, image) for image in root.images)
                results.append(assembly.index(root, images))
            else:
                results.append(self._image(assembly, root))
        used = not all(image.hermetic for result in results for image in result.images)
        return Built(tuple(results), self.executed, self.cached, used)

    def _store_all(self) -> None:
        """Give the layer of every step a stored form."""
        for node in self.nodes:
            output = self.outputs[id(node.step)]
            if isinstance(output, Chain) and node.info.kind in _WORK:
                self.carrier.forms.compress(output, len(output.layers))

    def _image(self, assembly: Assembly, image: Image) -> BuiltImage:
        rootfs = Chain() if image.rootfs is None else self.outputs[id(image.rootfs)]
        assert isinstance(rootfs, Chain)
        return assembly.image(image, rootfs, tuple(self._processes(image)))

    def _processes(self, image: Image) -> Iterator[BuiltStep]:
        """The processes that an image came of, in the order of the plan."""
        needed = {id(step) for step in walk([image])}
        for node in self.nodes:
            if isinstance(node.step, Run) and id(node.step) in needed:
                output = self.outputs[id(node.step)]
                assert isinstance(output, Chain)
                yield BuiltStep(node.info.title, node.info.stage, output.network, node.info.span)

    def _inputs(self, node: Node) -> dict[int, Output] | None:
        found = {id(i.step): self.outputs.get(id(i.step)) for i in node.inputs}
        return None if None in found.values() else {k: v for k, v in found.items() if v is not None}

    def _from_cache(self, node: Node) -> bool:
        """Take a node's output without carrying anything out, if that can be."""
        if isinstance(node.step, Image | Index):
            self.outputs[id(node.step)] = Nothing()
            return True
        known = self._inputs(node)
        output = None if known is None else self.carrier.recall(node, known)
        if output is None:
            return False
        self.outputs[id(node.step)] = output
        self._recalled(node)
        return True

    def _recalled(self, node: Node) -> None:
        self.cached += node.info.kind in _WORK
        self.progress.finished(node.info, Finished(cached=True))

    def _carry_out(self, pending: list[Node]) -> None:
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        waiting = {id(n): n for n in pending}
        running: dict[Future[Output], Node] = {}
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                while waiting or running:
                    for node in list(waiting.values()):
                        known = self._inputs(node)
                        if known is not None and len(running) < self.jobs:
                            del waiting[id(node)]
                            running[pool.submit(self._one, node, known)] = node
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        node = running.pop(future)
                        self.outputs[id(node.step)] = future.result()
            except BaseException:
                self.carrier.close()
                raise

    def _one(self, node: Node, known: dict[int, Output]) -> Output:
        begun = time.monotonic()
        output = self.carrier.recall(node, known)
        if output is not None:
            self._recalled(node)
            return output
        self.progress.started(node.info)
        try:
            output, how = self.carrier.carry_out(node, known)
        except LayerMissing:
            raise
        except BuildError as e:
            e.at(node.info.span)
            self.progress.failed(node.info, e)
            raise
        self.executed += 1
        self.progress.finished(
            node.info,
            Finished(cached=False, seconds=time.monotonic() - begun, size=how.size, mended=how.mended),
        )
        return output


class _OneAtATime(Progress):
    """Passes everything on, one call at a time."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def planned(self, steps: Sequence[StepInfo]) -> None:
        with self._lock:
            self._inner.planned(steps)

    def started(self, step: StepInfo) -> None:
        with self._lock:
            self._inner.started(step)

    def output(self, step: StepInfo, data: bytes) -> None:
        with self._lock:
            self._inner.output(step, data)

    def advanced(self, step: StepInfo, phase: str, done: int, total: int | None) -> None:
        with self._lock:
            self._inner.advanced(step, phase, done, total)

    def finished(self, step: StepInfo, how: Finished) -> None:
        with self._lock:
            self._inner.finished(step, how)

    def failed(self, step: StepInfo, error: BuildError) -> None:
        with self._lock:
            self._inner.failed(step, error)

    def warned(self, warning: Warned) -> None:
        with self._lock:
            self._inner.warned(warning)
