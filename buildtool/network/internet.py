"""The internet of one step: what listens in its network namespace, and what it was asked."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from buildtool.lock.exchanges import Exchange
from buildtool.network.settings import Refused, Settings
from buildtool.store import Store

T = TypeVar("T")


class Namespace(Protocol):
    """A network namespace in which every address is local (`netns.Isolated(everywhere=True)`)."""

    def inside(self, call: Callable[[], T]) -> T:
        """Carry out a call in a thread that is in the namespace; sockets made there stay there."""


class Internet:
    """Names (port 53), HTTP (80) and HTTPS (443) for the processes in a namespace, while it is entered.

    The executor's use of it:

        with Isolated(everywhere=True) as namespace:
            with Internet(namespace, settings, store) as internet:
                ended = sandbox.run(process, root, output, cancel, stop=internet.failed)
            internet.check(process_failed=ended.status != 0)      # raises BuildError
            exchanges = internet.exchanges                        # complete only after the `with`
    """

    def __init__(self, namespace: Namespace, settings: Settings, store: Store) -> None:
        self.settings = settings

    def __enter__(self) -> "Internet":
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        """Stop answering; what is on its way into the store is waited for."""

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything that was asked and answered, each once, sorted: the step's recording."""
        raise NotImplementedError

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What was asked for in vain, each once, in the order of asking."""
        raise NotImplementedError

    def failed(self) -> bool:
        """Whether the step cannot end well any more, because of a refusal."""
        raise NotImplementedError

    def check(self, *, process_failed: bool) -> None:
        """BuildError for a fatal refusal; with `process_failed` for any.

        `not-recorded`: strict, and the request is in no recording; `unrecorded-answer`: the
        outside gave no answer that can be recorded; `body-changed`: the outside has another
        body by now than was recorded; `body-missing`: offline, and the store has it not;
        `refused-connection`: other ports, WebSockets, distrust.
        """
        raise NotImplementedError
