"""Carrying out: for each kind of step, how to recall its output and how to make it."""

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, Key, Plain, key_of, parse_digest
from buildtool.executor.api import BuildOptions, Fetcher, Reached, Recorded
from buildtool.executor.cache import Cache, LayerResult
from buildtool.executor.emulation import runs_here
from buildtool.executor.flattening import flattened
from buildtool.executor.local import Listing, scan
from buildtool.executor.outputs import (
    Chain,
    GitFiles,
    Literal,
    LocalFiles,
    Nothing,
    OneFile,
    Output,
    identity,
)
from buildtool.executor.plan import Node
from buildtool.executor.pool import WorkerProcess
from buildtool.executor.progress import Progress
from buildtool.executor.reaching import Keys, keys_of, replayed
from buildtool.executor.specs import file_work, run_work, trees_of
from buildtool.executor.supply import Supply
from buildtool.executor.work import (
    ChainTree,
    CompressWork,
    Event,
    FileTree,
    FlattenWork,
    LayerMissing,
    LayerRef,
    LiteralTree,
    Outcome,
    RunWork,
    SnapshotWork,
    Spec,
)
from buildtool.graph.ignore import IgnoreMatcher
from buildtool.graph.keys import key
from buildtool.graph.model import (
    FetchSource,
    FileOp,
    GitSource,
    ImageSource,
    LiteralSource,
    LocalSource,
    Platform,
    Run,
)
from buildtool.lock.exchanges import RunPins, run_pins
from buildtool.network.settings import Settings
from buildtool.store import Store

#: A process as work, at an instant and with a network.
MakeWork: TypeAlias = Callable[[int, str, Settings | None], RunWork]

#: What people read between the output of a watched process and that of the same with a network.
_AGAIN = b"(it uses the network, and begins again in the recorded internet)\n"
_TAIL_BYTES = 32 << 10
_TAIL_ROWS = 30


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
        self.cache = Cache(store, options.ledger)
        self.options = options
        self._recorded = recorded
        self.supply = Supply(store, fetcher, progress)
        self._progress = progress
        self._fresh: set[Key] = set()
        self._listings: dict[str, str] = {}
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._closed = False

    def close(self) -> None:
        """Stop what goes on, and remove what was only for this build."""
        with self._lock:
            self._closed = True
            worker, self._worker = self._worker, None
            listings, self._listings = self._listings, {}
        if worker is not None:
            worker.close()
        for path in listings.values():
            os.unlink(path)

    # ------------------------------------------------------------ recalling

    def recall(self, node: Node, known: dict[int, Output]) -> Output | None:
        """The node's output as far as that needs no work; sources always have one."""
        step = node.step
        if isinstance(step, ImageSource):
            return self._image(step, node)
        if isinstance(step, LocalSource):
            return self._local(step)
        if isinstance(step, FetchSource):
            return OneFile(FileTree(step.digest, step.name, step.mode, step.mtime))
        if isinstance(step, GitSource):
            return GitFiles(key(step, lambda s: None))
        if isinstance(step, LiteralSource):
            return Literal(LiteralTree(tuple((f.path, f.data, f.mode) for f in step.files)))
        if isinstance(step, FileOp | Run):
            return self._layer(node, step, known)
        return Nothing()

    def _image(self, step: ImageSource, node: Node) -> Chain:
        chain = Chain()
        for layer in step.layers:
            self.supply.know(node, step, layer)
            chain = chain.on_top(LayerRef(layer.diff_id, layer.digest), "")
        return chain

    def _local(self, step: LocalSource) -> LocalFiles:
        name = key_of({"listing": [step.folder, list(step.include), list(step.ignore)]})
        data = self.store.results.get(name)
        known = msgspec.msgpack.decode(data, type=Listing) if data is not None else None
        if known is None:
            self._expect_work()
        ignore = IgnoreMatcher(step.ignore) if step.ignore else None
        try:
            listing = scan(step.folder, step.include, ignore, known, self._file_clock_ns())
        except BuildError as e:
            raise e.at(step.origin.span if step.origin else None) from None
        if known is None or known.rows != listing.rows:
            self.store.results.put(name, "listing", msgspec.msgpack.encode(listing))
        return LocalFiles(step.folder, listing)

    def _file_clock_ns(self) -> int:
        """Now, by the clock that stamps files: it cannot be turned by the environment."""
        path = self.store.temporary("clock")
        with open(path, "wb") as f:
            now = os.fstat(f.fileno()).st_mtime_ns
        os.unlink(path)
        return now

    def _layer(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> Chain | None:
        base, keys = self._base(step, known), self._keys(step, known)
        still = self._kept(keys.still, base)
        if still is not None and still[1] is not None:
            return base.on_top(still[1], node.info.title)
        watched_first = keys.still is not None and keys.recording is None
        online = None if watched_first and still is None else self._kept(keys.online, base)
        if online is None or online[1] is None:
            return None
        if isinstance(step, Run) and step.network == "default" and not self._recalled(step, keys, online[0]):
            return None
        return base.on_top(online[1], node.info.title, _reached(step))

    def _kept(self, name: Key | None, base: Chain) -> tuple[LayerResult, LayerRef | None] | None:
        if name is None or (self.options.no_cache and name not in self._fresh):
            return None
        return self.cache.layer(name, base.chain_id)

    def _recalled(self, step: Run, keys: Keys, result: LayerResult) -> bool:
        """See to it that the lock has the recording of a result; False if its bodies are gone."""
        recording = keys.recording
        missing = self.cache.bodies(result.exchanges if recording is None else recording.exchanges)
        if recording is None and missing:
            return False
        recording = recording or run_pins(keys.action, self.options.present, result.exchanges)
        self._recorded.record(step.place, recording)
        return True

    def _keys(self, step: FileOp | Run, known: dict[int, Output]) -> Keys:
        def of(**extra: Plain) -> Key:
            return key(step, lambda s: identity(known[id(s)]), **extra)

        return keys_of(step, of, self.options.present, self._recorded)

    @staticmethod
    def _base(step: FileOp | Run, known: dict[int, Output]) -> Chain:
        if step.base is None:
            return Chain()
        output = known[id(step.base)]
        assert isinstance(output, Chain)
        return output

    # ------------------------------------------------------------ making

    def carry_out(self, node: Node, known: dict[int, Output]) -> tuple[Output, How]:
        """Make the node's output, or find that another build just did."""
        step = node.step
        assert isinstance(step, FileOp | Run)
        with self.cache.only_one(self._keys(step, known).action):
            output = self._layer(node, step, known)
            if output is not None:
                return output, How()
            self._bring(node, step, known)
            self.cache.bring(layer for o in known.values() if isinstance(o, Chain) for layer in o.layers)
            outcome, network = self._make(node, step, known)
        ref = LayerRef(parse_digest(outcome.diff_id), outcome.blob, outcome.size)
        chain = self._base(step, known).on_top(ref, node.info.title, network)
        return chain, How(outcome.size, outcome.mended)

    def _bring(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> None:
        """Bring what a step needs; what a process will run on is unpacked while the rest arrives."""
        layers = [x for x in self._base(step, known).layers if self.supply.base(x.diff_id) is not None]
        diff_ids = [layer.diff_id for layer in layers]
        if isinstance(step, Run) and len(layers) > 1 and self.supply.lacks(diff_ids):
            from buildtool.executor.ahead import Ahead

            def unpack(chain: ChainTree) -> None:
                self._send(node, SnapshotWork(chain))

            def there(layer: LayerRef) -> bool:
                return not self.supply.lacks([layer.diff_id])

            with Ahead(layers, there, unpack) as ahead:
                self.supply.bring_bases(diff_ids, ahead.arrived)
        self.supply.bring(node, known)

    def _make(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> tuple[Outcome, Reached]:
        keys = self._keys(step, known)
        trees = trees_of(known, self._listing_file, lambda files: self.supply.git_archive(files.key))
        form = self.options.compression if node.exported else None
        if isinstance(step, FileOp):
            outcome = self._send(node, file_work(step, trees, form or "none"))
            self._keep(keys.action, "fileop", outcome)
            return outcome, "none"

        def work(clock: int, network: str, internet: Settings | None = None) -> RunWork:
            return run_work(step, trees, clock, network, form, self.options.lent, internet)

        if keys.still is not None and (keys.online is None or not self._known_to_reach_out(keys)):
            network = "none" if keys.online is None else "watched"
            outcome = self._send(node, work(step.clock, network))
            if not outcome.reached_out:
                self._keep(keys.still, "run", outcome)
                return outcome, "none"
            self.cache.keep(keys.still, "run", LayerResult("", 0, False, reached_out=True))
            self._fresh.add(keys.still)
            self._progress.output(node.info, _AGAIN)
        assert keys.online is not None
        if step.network == "host":
            if self.options.offline:
                raise _offline(node)
            outcome = self._send(node, work(self.options.present, "host"))
            self._keep(keys.online, "run", outcome, hermetic=False)
        elif keys.recording is not None:
            outcome = self._replay(node, step, keys, keys.recording, work)
        else:
            outcome = self._record(node, step, keys, work)
        return outcome, _reached(step)

    def _known_to_reach_out(self, keys: Keys) -> bool:
        if keys.recording is not None:
            return True
        found = None if keys.still is None else self.cache.layer(keys.still, None)
        return found is not None and found[0].reached_out

    def _replay(self, node: Node, step: Run, keys: Keys, recording: RunPins, work: MakeWork) -> Outcome:
        """Carry a step out whose every request the lock knows the answer to."""
        self.supply.bodies(self.cache.bodies(recording.exchanges))
        internet = msgspec.structs.replace(
            self._recorded.settings(), clock=recording.clock, strict=True, known=recording.exchanges
        )
        outcome = self._send(node, work(recording.clock, "recorded", internet))
        self._keep(replayed(keys.action, recording), "run", outcome)
        self._recorded.record(step.place, recording)
        return outcome

    def _record(self, node: Node, step: Run, keys: Keys, work: MakeWork) -> Outcome:
        """Carry a step out that may ask the outside for what no step of the lock was answered before."""
        self._recorded.may_record(step.place)
        present, known = self.options.present, self._recorded.known(step.place)
        internet = msgspec.structs.replace(
            self._recorded.settings(), clock=present, strict=False, known=known
        )
        outcome = self._send(node, work(present, "recorded", internet))
        recording = run_pins(keys.action, present, outcome.exchanges)
        assert keys.online is not None
        for name in (keys.online, replayed(keys.action, recording)):
            self._keep(name, "run", outcome)
        self._recorded.record(step.place, recording)
        return outcome

    def _keep(self, name: Key, kind: str, outcome: Outcome, *, hermetic: bool = True) -> None:
        result = LayerResult(
            outcome.diff_id, outcome.size, hermetic, mended=outcome.mended, exchanges=outcome.exchanges
        )
        self.cache.keep_form(outcome)
        self.cache.keep(name, kind, result)
        self._fresh.add(name)

    # ------------------------------------------------------------ forms of what is made

    def compress(self, chain: Chain, layers: int) -> tuple[Digest, int]:
        """The stored form, in the build's compression, of the chain's layer number `layers` - 1."""
        part = ChainTree(chain.layers[:layers])
        diff_id = part.layers[-1].diff_id
        form = self.options.compression
        self.cache.bring(part.layers[-1:])
        found = self.cache.stored(diff_id, form)
        if found is None:
            self.cache.bring(part.layers)
            self.supply.bring_bases([layer.diff_id for layer in part.layers])
            outcome = self._worker_process().carry_out(CompressWork(part, form), lambda event: None)
            self.cache.keep_form(outcome)
            found = parse_digest(outcome.blob), outcome.blob_size
        return found

    def flatten(self, chain: Chain) -> Digest:
        """The blob that is a plain tar archive of all files of the chain."""

        def make(work: FlattenWork) -> Outcome:
            self.cache.bring(chain.layers)
            self.supply.bring_bases([layer.diff_id for layer in chain.layers])
            return self._worker_process().carry_out(work, lambda event: None)

        return flattened(self.store, self.cache, chain.tree, make)

    def _send(self, node: Node, spec: Spec) -> Outcome:
        tail = _Tail()

        def observe(event: Event) -> None:
            if event.output is not None:
                tail.add(event.output)
                self._progress.output(node.info, event.output)
            elif event.advanced is not None:
                self._progress.advanced(node.info, *event.advanced)

        try:
            return self._worker_process().carry_out(spec, observe)
        except BuildError as e:
            if e.code in ("corrupt-blob", "missing-blob"):
                raise LayerMissing(e.message) from e
            step = node.step
            if isinstance(step, Run):
                e.output = tail.text()
            if isinstance(step, Run) and not runs_here(step.platform.architecture):
                raise _no_emulator(step.platform, e) from e
            raise

    def _worker_process(self) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise BuildError("cancelled", "the build was stopped", exit_status=1)
            if self._worker is None:
                self._worker = WorkerProcess(self.store.path, self.options.runtime)
            return self._worker

    def _expect_work(self) -> None:
        """Let the worker start meanwhile: files that were never seen mean that something must be made."""

        def start() -> None:
            try:
                self._worker_process()
            except BuildError:
                pass  # whoever needs the worker hears why there is none

        threading.Thread(target=start, daemon=True).start()

    def _listing_file(self, files: LocalFiles) -> str:
        with self._lock:
            path = self._listings.get(files.listing.digest)
            if path is None:
                path = self.store.temporary("listing")
                with open(path, "wb") as f:
                    f.write(msgspec.msgpack.encode(files.listing))
                self._listings[files.listing.digest] = path
            return path


def _reached(step: FileOp | Run) -> Reached:
    """The network of a process that reached out."""
    return "host" if isinstance(step, Run) and step.network == "host" else "recorded"


def _offline(node: Node) -> BuildError:
    return BuildError(
        "offline",
        f"the step has the network of this machine, which is not to be used: {node.info.title}",
        hint="take --network=host away, so that its requests are recorded, or build without --offline",
        exit_status=1,
    )


def _no_emulator(platform: Platform, error: BuildError) -> BuildError:
    """What is behind the failure of a process of another platform."""
    return BuildError(
        "no-emulator",
        f"this machine does not run processes for {platform}: {error.message}",
        hint="apt-get install qemu-user-static binfmt-support; or build on a machine of that platform",
        output=error.output,
        exit_status=1,
    )


class _Tail:
    """The end of a process's output: what a person needs to see of a failure."""

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.size = 0

    def add(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)
        while self.size - len(self.parts[0]) > _TAIL_BYTES:
            self.size -= len(self.parts.popleft())

    def text(self) -> str:
        rows = b"".join(self.parts).decode("utf-8", "replace").splitlines()
        return "\n".join(rows[-_TAIL_ROWS:])
