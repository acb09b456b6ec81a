"""What the processes of a build asked of the internet, and what they were answered.

An *exchange* is one request and its answer.  Its `place` is what was asked for: an
address without credentials, or `ARCHIVE:PATH` where the address belongs to an archive
that has mirrors (`debian:dists/bookworm/InRelease`), so that no lock names a mirror.
The bytes of an answer are a blob, known by its digest; an exchange holds only what
names them.
"""

from dataclasses import dataclass
from typing import TypeAlias

from buildtool.digest import Digest

#: What a request is known by: method, place, digest of its body, and the headers that chose the answer.
Asked: TypeAlias = tuple[str, str, Digest | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    `request` is the digest of the request's body, None where it had none.  `varies` are the
    request's headers that chose among answers (`accept` where the answer varied by it,
    `git-protocol`), `headers` those of the answer that clients need (`content-type`,
    `content-encoding`, `last-modified`, `location`, `www-authenticate`, `link`); both by
    lower-case name, sorted.  `size` is that of the answer's body in bytes, `body` its digest,
    None for an answer that never has one (to HEAD, 204, 304).
    """

    method: str
    place: str
    status: int
    size: int
    body: Digest | None
    request: Digest | None = None
    varies: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def asked(self) -> Asked:
        """What the request is known by; of two exchanges of a step no two are known by the same."""
        return (self.method, self.place, self.request, self.varies)


@dataclass(frozen=True, slots=True)
class RunPins:
    """What one step exchanged with the internet, sorted by what was asked.

    `step` is the step's action key (what it does, and to what): the recording is complete
    for exactly this step, so a request that is not in it is an error there, while a step that
    was changed since takes from it what it still asks for.
    """

    step: str
    exchanges: tuple[Exchange, ...]
