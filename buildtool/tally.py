"""A tally: how far several transfers are together."""

import threading
from collections.abc import Callable

Advance = Callable[[int, int | None], None]


class Tally:
    """Adds up what transfers report, each under its name, and tells the sum and the total in bytes."""

    def __init__(self, total: int, advance: Advance) -> None:
        self._total = total
        self._advance = advance
        self._done: dict[str, int] = {}
        self._sum = 0
        self._guard = threading.Lock()

    def of(self, name: str) -> Advance:
        """What the transfer `name` reports to."""

        def advance(done: int, total: int | None) -> None:
            with self._guard:
                self._sum += done - self._done.get(name, 0)
                self._done[name] = done
                self._advance(self._sum, self._total)

        return advance
