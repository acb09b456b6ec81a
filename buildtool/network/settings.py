"""Settings: how one step meets the internet, as data that travels with the step."""

import msgspec

from buildtool.lock.exchanges import Exchange


class Route(msgspec.Struct, frozen=True, array_like=True):
    """Addresses that begin with `prefix` belong to `archive` and are asked of `places` in its stead.

    `prefix` and `places` end with a slash; `https://pypi.org/simple/pip/` is then `pypi:pip/` to
    a lock.  The first place that has it answers; a user and password in it are used and never
    written down.  `archived` are places besides, for bodies that were recorded and that no
    mirror may have any longer.
    """

    prefix: str
    archive: str
    places: tuple[str, ...]
    archived: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """How a step meets the internet.

    `clock` is its instant in seconds, seen as `Date`.  A `strict` internet answers what is
    among `known` and refuses the rest; another one asks the outside for the rest and adds it.
    An `offline` one asks nothing of the outside, not even for a body that is missing here.
    Where two of `known` answer the same request, the first counts.  `proxies` are URLs by
    scheme, `exempt` the hosts reached without one (as in `no_proxy`).  `authority` is the
    folder of the user's certificate authority, made when it is first needed.
    """

    clock: int
    strict: bool
    known: tuple[Exchange, ...]
    authority: str
    offline: bool = False
    routes: tuple[Route, ...] = ()
    proxies: tuple[tuple[str, str], ...] = ()
    exempt: str = ""


class Refused(msgspec.Struct, frozen=True):
    """Something that a step asked for and did not get, without credentials.

    `what` is `GET https://example.org/x` or `db.example.org port 5432`, `why` a clause.  A
    `fatal` one fails the step whatever its exit status: a step that goes on without an
    answer would be another one the next time.  The others are refused at every build alike,
    and explain a step that failed.
    """

    what: str
    why: str
    fatal: bool
    hint: str = ""
