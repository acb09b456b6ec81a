"""Answers: the exchanges that are known, and those that this step had."""

import threading
from collections.abc import Iterable

from buildtool.digest import Digest
from buildtool.lock.debian import ARCHIVES
from buildtool.lock.exchanges import Asked, Exchange
from buildtool.network.asking import Asking

#: Statuses that say something of the moment, not of the place.
FLEETING = frozenset((408, 425, 429))

#: Headers of an answer that clients need and that no secret hides in, by lower-case name.
KEPT = (
    "content-disposition",
    "content-encoding",
    "content-type",
    "docker-content-digest",
    "last-modified",
    "link",
    "location",
    "www-authenticate",
)
#: What the mirrors of these archives say each in its own way, and no client of theirs reads.
_IDLE = {archive: frozenset(("content-type",)) for archive in ARCHIVES}
_Known = tuple[str, str, Digest | None]


class Answers:
    """Finds the exchange that answers a request; safe for several threads.

    `strict`: nothing will be added, so an answer that was refused for want of
    credentials counts as much as any other.
    """

    def __init__(self, known: Iterable[Exchange], *, strict: bool) -> None:
        self._strict = strict
        self._known: dict[_Known, list[Exchange]] = {}
        self._given: dict[Asked, Exchange] = {}
        self._lock = threading.Lock()
        self._archived: dict[str, set[str]] = {}
        for exchange in known:
            self._known.setdefault(_key(exchange), []).append(exchange)
            archive, _, path = exchange.place.partition(":")
            if archive not in ("http", "https"):
                self._archived.setdefault(path, set()).add(exchange.place)
        self._places = frozenset(place for _, place, _ in self._known)

    def recorded_as(self, address: str) -> str:
        """The place that an address of a strict replay was recorded as, itself if that cannot be told.

        A mirror that writes its own address into pages leads here on machines whose routes do
        not know it.  What it leads to was recorded as a file of an archive, and the archive's
        path ends the address: the longest end that is one archive's counts.  A single name is
        too little to go by; `design/network.md` tells why this is safe.
        """
        if not self._strict or address in self._places:
            return address
        path, mark, query = address.split("/", 3)[3].partition("?")
        while "/" in path.rstrip("/"):
            if places := self._archived.get(path + mark + query):
                return next(iter(places)) if len(places) == 1 else address
            path = path.partition("/")[2]
        return address

    def find(self, asking: Asking) -> Exchange | None:
        """What answers the request, which counts as given from now on; None if it is not known."""
        with self._lock:
            for exchange in self._known.get((asking.method, asking.place, asking.request), ()):
                if any(asking.header(name) != value for name, value in exchange.varies):
                    continue
                if exchange.status == 401 and asking.authorized and not self._strict:
                    continue
                self._given.setdefault(exchange.asked, exchange)
                return exchange
        return None

    def add(self, exchange: Exchange) -> None:
        """A new answer was given; it takes the place of an earlier one to the same request."""
        with self._lock:
            found = self._known.setdefault(_key(exchange), [])
            found[:] = [exchange, *(e for e in found if e.asked != exchange.asked)]
            self._given[exchange.asked] = exchange

    @property
    def given(self) -> tuple[Exchange, ...]:
        """The step's exchanges, sorted by what was asked."""
        with self._lock:
            return tuple(sorted(self._given.values(), key=_order))


def _key(exchange: Exchange) -> _Known:
    return (exchange.method, exchange.place, exchange.request)


def _order(exchange: Exchange) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    return (exchange.place, exchange.method, exchange.request or "", exchange.varies)


def keeps(status: int) -> bool:
    """Whether an answer of this status is recorded."""
    return status < 500 and status not in FLEETING


def kept(place: str) -> Iterable[str]:
    """The headers that are kept of an answer from a place, by lower-case name."""
    idle = _IDLE.get(place.partition(":")[0], frozenset())
    return (name for name in KEPT if name not in idle)


def chosen_by(asking: Asking, vary: str) -> tuple[tuple[str, str], ...]:
    """The headers of a request that chose its answer, whose `Vary` is given."""
    names = {name.strip().lower() for name in vary.split(",")}
    return tuple((name, value) for name, value in asking.choosing if name in names or name == "git-protocol")
