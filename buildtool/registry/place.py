"""Places: where the requests for a repository go, and under which conditions."""

import ipaddress
from dataclasses import dataclass

from buildtool.reference import DOCKER

#: Where Docker's registry is reached, whose name in references is another.
_CONTACTED = {DOCKER: "registry-1.docker.io"}
#: Hosts below these are one organisation's each: two labels do not make two hosts related.
_SHARED_SECOND_LEVELS = frozenset(("ac", "co", "com", "edu", "gov", "net", "or", "org"))


@dataclass(frozen=True, slots=True)
class Place:
    """A repository at a registry.

    `host` (with a port) is whom credentials are for; `insecure` lets certificates be
    unverified and HTTP be plain; `realms` are hosts that may be handed the credentials
    for a token besides those that belong to the registry anyhow.
    """

    host: str
    path: str
    insecure: bool = False
    realms: tuple[str, ...] = ()
    chunk: int = 0

    @property
    def address(self) -> str:
        """The host to contact."""
        return _CONTACTED.get(self.host, self.host)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def host_only(address: str) -> str:
    """`HOST[:PORT]` without its port."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0]


def is_loopback(address: str) -> bool:
    """Whether a host is this machine by its name alone: `localhost`, 127.0.0.0/8, `::1`."""
    host = host_only(address).lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def related(registry: str, realm: str) -> bool:
    """Whether two hosts belong together by their names, ports aside.

    They do if they are the same, one lies below the other, or both lie below one
    domain of their own: `registry-1.docker.io` and `auth.docker.io`.  Addresses are
    related to themselves alone.
    """
    one, other = host_only(registry).lower(), host_only(realm).lower()
    if one == other:
        return True
    labels, others = one.split("."), other.split(".")
    if _is_address(one) or _is_address(other) or min(len(labels), len(others)) < 2:
        return False
    count = 3 if len(labels[-1]) == 2 and labels[-2] in _SHARED_SECOND_LEVELS else 2
    return len(labels) >= count and labels[-count:] == others[-count:]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
