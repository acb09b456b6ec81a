"""What filesystem steps gave: found under the keys of a step, and kept under them."""

from buildtool.digest import Key, Plain
from buildtool.executor.api import BuildOptions, Recorded
from buildtool.executor.cache import Cache, LayerResult
from buildtool.executor.outputs import Chain, Output, identity
from buildtool.executor.plan import Node
from buildtool.executor.reaching import Keys, keys_of, reached
from buildtool.executor.work import LayerRef, Outcome
from buildtool.graph.keys import key
from buildtool.graph.model import FileOp, Run
from buildtool.lock.exchanges import run_pins


class Kept:
    """Layers of steps as far as the cache has them.  Used from many threads."""

    def __init__(self, cache: Cache, recorded: Recorded, options: BuildOptions) -> None:
        self._cache = cache
        self._recorded = recorded
        self._options = options
        #: What this build made itself, which counts also where it is to take nothing from the cache.
        self._fresh: set[Key] = set()

    def keys(self, step: FileOp | Run, known: dict[int, Output]) -> Keys:
        """What the step's results are kept under, with these outputs of its inputs."""

        def of(**extra: Plain) -> Key:
            return key(step, lambda s: identity(known[id(s)]), **extra)

        return keys_of(step, of, self._options.present, self._recorded)

    def layer(self, node: Node, step: FileOp | Run, known: dict[int, Output]) -> Chain | None:
        """The step's layer on top of its base; the lock gets the recording that it came with."""
        base, keys = base_of(step, known), self.keys(step, known)
        still = self._found(keys.still, base)
        if still is not None and still[1] is not None:
            return base.on_top(still[1], node.info.title)
        watched_first = keys.still is not None and keys.recording is None
        online = None if watched_first and still is None else self._found(keys.online, base)
        if online is None or online[1] is None:
            return None
        if isinstance(step, Run) and step.network == "default" and not self._recalled(step, keys, online[0]):
            return None
        return base.on_top(online[1], node.info.title, reached(step))

    def reaches_out(self, keys: Keys) -> bool:
        """Whether a process is known to want the network."""
        if keys.recording is not None:
            return True
        found = None if keys.still is None else self._cache.layer(keys.still, None)
        return found is not None and found[0].reached_out

    def keep(self, name: Key, kind: str, outcome: Outcome, *, hermetic: bool = True) -> None:
        """Keep an outcome under a key."""
        result = LayerResult(
            outcome.diff_id, outcome.size, hermetic, mended=outcome.mended, exchanges=outcome.exchanges
        )
        self._cache.keep_form(outcome)
        self._keep(name, kind, result)

    def keep_reaching_out(self, name: Key) -> None:
        """Keep that a watched process wanted the network."""
        self._keep(name, "run", LayerResult("", 0, False, reached_out=True))

    def _keep(self, name: Key, kind: str, result: LayerResult) -> None:
        self._cache.keep(name, kind, result)
        self._fresh.add(name)

    def _found(self, name: Key | None, base: Chain) -> tuple[LayerResult, LayerRef | None] | None:
        if name is None or (self._options.no_cache and name not in self._fresh):
            return None
        return self._cache.layer(name, base.chain_id)

    def _recalled(self, step: Run, keys: Keys, result: LayerResult) -> bool:
        """See to it that the lock has the recording of a result; False if its bodies are gone."""
        recording = keys.recording
        missing = self._cache.bodies(result.exchanges if recording is None else recording.exchanges)
        if recording is None and missing:
            return False
        recording = recording or run_pins(keys.action, self._options.present, result.exchanges)
        self._recorded.record(step.place, recording)
        return True


def base_of(step: FileOp | Run, known: dict[int, Output]) -> Chain:
    """The chain that a step's layer lies on."""
    if step.base is None:
        return Chain()
    output = known[id(step.base)]
    assert isinstance(output, Chain)
    return output
