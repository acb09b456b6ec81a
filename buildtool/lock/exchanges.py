"""What the processes of a build asked of the internet, and what they were answered.

An *exchange* is one request and its answer.  Its `place` is what was asked for: an
address without credentials, or `ARCHIVE:PATH` where the address belongs to an archive
that has mirrors (`debian:dists/bookworm/InRelease`), so that no lock names a mirror.
The bytes of an answer are a blob, known by its digest; an exchange holds only what
names them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from buildtool.diag import BuildError
from buildtool.digest import Digest

#: What a request is known by: method, place, digest of its body, and the headers that chose the answer.
Asked: TypeAlias = tuple[str, str, Digest | None, tuple[tuple[str, str], ...]]

#: RFC 9110, section 5.6.2 (without `=`, which is none of a token's characters anyhow).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}")
_PLACE = re.compile(r"(?:https?://|[a-z][a-z0-9-]*:)[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    `request` is the digest of the request's body, None where it had none.  `varies` are the
    request's headers that chose among answers (`accept` where the answer varied by it,
    `git-protocol`), `headers` those of the answer that clients need (`content-type`,
    `content-encoding`, `last-modified`, `location`, `www-authenticate`, `link`); both by
    lower-case name, sorted.  `size` is that of the answer's body in bytes, `body` its digest,
    None for an answer that never has one (to HEAD, 204, 304).  BuildError `bad-exchange`
    for what no HTTP message has.
    """

    method: str
    place: str
    status: int
    size: int
    body: Digest | None
    request: Digest | None = None
    varies: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _sound(bool(_TOKEN.fullmatch(self.method)), f"{self.method!r} is not a method")
        _sound(bool(_PLACE.fullmatch(self.place)), f"{self.place[:200]!r} is not a place")
        _sound(100 <= self.status <= 599, f"{self.status} is not a status")
        _sound(self.size >= 0, f"{self.size} is not a size")
        for name, _ in (*self.varies, *self.headers):
            _sound(bool(_HEADER.fullmatch(name)), f"{name[:200]!r} is not the name of a header")

    @property
    def asked(self) -> Asked:
        """What the request is known by; of two exchanges of a step no two are known by the same."""
        return (self.method, self.place, self.request, self.varies)


@dataclass(frozen=True, slots=True)
class RunPins:
    """What one step exchanged with the internet, sorted by what was asked (`run_pins`).

    `step` is the step's action key (what it does, and to what): the recording is complete
    for exactly this step, so a request that is not in it is an error there, while a step that
    was changed since takes from it what it still asks for.  `clock` is the instant, in
    seconds, that the step sees as the present.
    """

    step: str
    clock: int
    exchanges: tuple[Exchange, ...]


def run_pins(step: str, clock: int, exchanges: Iterable[Exchange]) -> RunPins:
    """The recording of a step, in order: by place, then method, body and headers."""

    def order(exchange: Exchange) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
        return (exchange.place, exchange.method, exchange.request or "", exchange.varies)

    return RunPins(step, clock, tuple(sorted(exchanges, key=order)))


def _sound(true: bool, problem: str) -> None:
    if not true:
        raise BuildError("bad-exchange", f"an exchange with the internet is wrong: {problem}")
