"""Processes: a RUN step is carried out without a network, and if it wants one again with what it may have.

watched:   no network; whether it reached out is a result
recorded:  every request answered by the lock (replayed), or by the outside and written down (recorded)
host:      the network of this machine, nothing written down
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from buildtool.diag import BuildError
from buildtool.executor.api import BuildOptions, Reached, Recorded
from buildtool.executor.cache import Cache
from buildtool.executor.foreman import Foreman
from buildtool.executor.kept import Kept
from buildtool.executor.plan import Node
from buildtool.executor.progress import Progress
from buildtool.executor.reaching import Keys, reached, replayed
from buildtool.executor.specs import Trees, run_work
from buildtool.executor.supply import Supply
from buildtool.executor.work import Outcome, RunWork
from buildtool.graph.model import Run
from buildtool.lock.exchanges import RunPins, run_pins
from buildtool.network.settings import Settings

#: A process as work, at an instant and with a network.
MakeWork: TypeAlias = Callable[[int, str, Settings | None], RunWork]

#: What people read between the output of a watched process and that of the same with a network.
_AGAIN = b"(it uses the network, and begins again in the recorded internet)\n"


class Processes:
    """Has processes carried out, and their results kept.  Used from many threads."""

    def __init__(
        self,
        foreman: Foreman,
        kept: Kept,
        cache: Cache,
        supply: Supply,
        recorded: Recorded,
        progress: Progress,
        options: BuildOptions,
    ) -> None:
        self._foreman = foreman
        self._kept = kept
        self._cache = cache
        self._supply = supply
        self._recorded = recorded
        self._progress = progress
        self._options = options

    def carry_out(
        self, node: Node, step: Run, keys: Keys, trees: Trees, form: str | None
    ) -> tuple[Outcome, Reached]:
        """The outcome of a step, its layer stored in a `form` if in any, and the network that it had."""

        def work(clock: int, network: str, internet: Settings | None = None) -> RunWork:
            return run_work(step, trees, clock, network, form, self._options.lent, internet)

        outcome = self._without_network(node, step, keys, work)
        if outcome is not None:
            return outcome, "none"
        if step.network == "host":
            outcome = self._on_host(node, keys, work)
        elif keys.recording is not None:
            outcome = self._replay(node, step, keys, keys.recording, work)
        else:
            outcome = self._record(node, step, keys, work)
        return outcome, reached(step)

    def _without_network(self, node: Node, step: Run, keys: Keys, work: MakeWork) -> Outcome | None:
        """The outcome without a network; None for a process that is known to want one, or turns out to."""
        if keys.still is None or (keys.online is not None and self._kept.reaches_out(keys)):
            return None
        network = "none" if keys.online is None else "watched"
        outcome = self._foreman.send(node, work(step.clock, network, None))
        if not outcome.reached_out:
            self._kept.keep(keys.still, "run", outcome)
            return outcome
        self._kept.keep_reaching_out(keys.still)
        self._progress.output(node.info, _AGAIN)
        return None

    def _on_host(self, node: Node, keys: Keys, work: MakeWork) -> Outcome:
        if self._options.offline:
            raise _offline(node)
        outcome = self._foreman.send(node, work(self._options.present, "host", None))
        assert keys.online is not None
        self._kept.keep(keys.online, "run", outcome, hermetic=False)
        return outcome

    def _replay(self, node: Node, step: Run, keys: Keys, recording: RunPins, work: MakeWork) -> Outcome:
        """Carry a step out whose every request the lock knows the answer to."""
        self._supply.bodies(self._cache.bodies(recording.exchanges))
        internet = msgspec.structs.replace(
            self._recorded.settings(), clock=recording.clock, strict=True, known=recording.exchanges
        )
        outcome = self._foreman.send(node, work(recording.clock, "recorded", internet))
        self._kept.keep(replayed(keys.action, recording), "run", outcome)
        self._recorded.record(step.place, recording)
        return outcome

    def _record(self, node: Node, step: Run, keys: Keys, work: MakeWork) -> Outcome:
        """Carry a step out that may ask the outside for what no step of the lock was answered before."""
        self._recorded.may_record(step.place)
        present, known = self._options.present, self._recorded.known(step.place)
        internet = msgspec.structs.replace(
            self._recorded.settings(), clock=present, strict=False, known=known
        )
        outcome = self._foreman.send(node, work(present, "recorded", internet))
        recording = run_pins(keys.action, present, outcome.exchanges)
        assert keys.online is not None
        for name in (keys.online, replayed(keys.action, recording)):
            self._kept.keep(name, "run", outcome)
        self._recorded.record(step.place, recording)
        return outcome


def _offline(node: Node) -> BuildError:
    return BuildError(
        "offline",
        f"the step has the network of this machine, which is not to be used: {node.info.title}",
        hint="take --network=host away, so that its requests are recorded, or build without --offline",
        exit_status=1,
    )
