"""Reach: the network that a process has, and what it takes to be trusted by it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from buildtool.executor.steps.mounts import Seen
from buildtool.executor.work import RunWork
from buildtool.executor.workshop import Workshop
from buildtool.layers.tree import Stack
from buildtool.lock.exchanges import Exchange
from buildtool.sandbox.bundle import HostMount
from buildtool.sandbox.netns import Isolated
from buildtool.sandbox.run import Ended

if TYPE_CHECKING:
    from buildtool.network.trust import Trust

#: Starts a process; what it is given says whether the process is to be stopped.
Start = Callable[[Callable[[], bool] | None], Ended]


#: What npm would do beside its work, and not the same way twice (decision 0106).
_SWITCHES = (
    ("NODE_DISABLE_COMPILE_CACHE", "1"),
    ("NPM_CONFIG_AUDIT", "false"),
    ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a process ended, what it exchanged, and what it was refused, empty for nothing."""

    ended: Ended
    exchanges: tuple[Exchange, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """A network namespace, None for the host's, and what makes the internet in it credible."""

    work: RunWork
    namespace: Isolated | None
    trust: "Trust | None" = None

    @property
    def lowers(self) -> list[str]:
        """What is above the base's snapshots while the process runs."""
        return [] if self.trust is None else [self.trust.lower]

    def seen(self, seen: Seen) -> Seen:
        """What the process gets to see, with what it needs to trust us, and to ask the same each time."""
        if self.trust is None:
            return seen
        own = {name for name, _ in (*self.work.env, *seen.env)}
        env = (pair for pair in (*self.trust.env, *_SWITCHES) if pair[0] not in own)
        file = HostMount(self.trust.target, kind="data", data=self.trust.file, mode=0o444)
        return replace(seen, mounts=(*seen.mounts, file), env=(*seen.env, *env))

    def run(self, start: Start, shop: Workshop) -> Ran | None:
        """How the process ended, and what it exchanged; None for a watched one that reached out.

        BuildError where it asked for something without which it is another step, by `Internet.check`.
        """
        if self.work.internet is not None:
            from buildtool.network.internet import Internet

            assert self.namespace is not None
            with Internet(self.namespace, self.work.internet, shop.store) as internet:
                ended = start(internet.failed)
            internet.check()
            return Ran(ended, internet.exchanges, internet.explanation())
        if self.work.network != "watched":
            return Ran(start(None))
        assert self.namespace is not None
        ended = start(self.namespace.reached_out)
        return None if self.namespace.reached_out() else Ran(ended)

    def clean(self, upper: str, base: Stack, shop: Workshop) -> None:
        """Take what is ours out of what the process wrote."""
        if self.trust is not None:
            from buildtool.network.trust import remove

            remove(self.trust, upper, base, shop.xattr_prefix)


@contextmanager
def reached(work: RunWork, base: Stack, shop: Workshop) -> Iterator[Reach]:
    """The network of a process, for as long as it runs."""
    with ExitStack() as held:
        if work.network == "host":
            yield Reach(work, None)
        elif work.internet is None:
            yield Reach(work, held.enter_context(Isolated()))
        else:
            from buildtool.network.trust import inject

            above = held.enter_context(shop.store.snapshots.stage()).fs
            trust = inject(work.internet.authority, base, above)
            yield Reach(work, held.enter_context(Isolated(everywhere=True)), trust)
