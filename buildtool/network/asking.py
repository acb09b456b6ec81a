"""Requests as they are known by: the place of an address, and what tells one request from another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from buildtool.address import public
from buildtool.digest import Digest
from buildtool.network.settings import Route

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
#: Characters of a path that mean the same with and without an escape, to every server we know.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+:@,=!")
_PORTS = {"http": 80, "https": 443}

#: Headers of a request that may choose among answers, by lower-case name.
CHOOSING = ("accept", "git-protocol")


@dataclass(frozen=True, slots=True)
class Asking:
    """A request of the step.

    `url` is the whole address, credentials in its query included, `place` what it is known by.
    `request` is the digest of the body, None without one; `headers` those of the client, by
    lower-case name.
    """

    method: str
    url: str
    place: str
    request: Digest | None
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """The values of a header, joined as HTTP joins them; empty without any."""
        return ", ".join(value for found, value in self.headers if found == name)

    @property
    def authorized(self) -> bool:
        """Whether it shows credentials, which the place does not tell."""
        return bool(self.header("authorization") or self.header("cookie"))

    @property
    def choosing(self) -> tuple[tuple[str, str], ...]:
        """The headers that may choose among answers."""
        return tuple((name, value) for name in CHOOSING if (value := self.header(name)))

    def __str__(self) -> str:
        return f"{self.method} {self.place}"


class Routes:
    """Which addresses belong to an archive, and where the archive is asked."""

    def __init__(self, routes: Iterable[Route]) -> None:
        # The longest prefix counts: an archive may lie below another one's address.
        self._routes = sorted(routes, key=lambda route: len(route.prefix), reverse=True)
        self._archives = {route.archive: route for route in self._routes}

    def place(self, url: str) -> str:
        """What the address is known by: `ARCHIVE:PATH`, or itself without credentials."""
        bare = normal(public(url))
        for route in self._routes:
            if bare.startswith(route.prefix):
                return f"{route.archive}:{bare[len(route.prefix) :]}"
        return bare

    def addresses(self, place: str, url: str, *, was_recorded: bool = False) -> tuple[str, ...]:
        """Where to ask for a place, the first to be tried first; `url` is the address as it was asked for."""
        archive, _, path = place.partition(":")
        route = self._archives.get(archive)
        if route is None:
            return (url,)
        return tuple(base + path for base in (*route.places, *(route.archived if was_recorded else ())))

    def is_archive(self, place: str) -> bool:
        """Whether the place is one of an archive."""
        return place.partition(":")[0] in self._archives


def normal(url: str) -> str:
    """The address with a lower-case host, no default port, a path, and no needless escapes in the path."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    host = host.lower().removesuffix(f":{_PORTS.get(parts.scheme, 0)}")
    return urlunsplit((parts.scheme, user + at + host, _unescaped(parts.path or "/"), parts.query, ""))


def _unescaped(path: str) -> str:
    def one(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _PLAIN else match[0].upper()

    return _ESCAPE.sub(one, path)
