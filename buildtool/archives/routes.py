"""Which addresses that steps ask for belong to an archive that has mirrors, and where those are.

A recording then names archives as the lock's pins do (`debian:dists/bookworm/InRelease`),
and one machine replays or completes what another one recorded behind other mirrors.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit, urlunsplit

from buildtool.address import public
from buildtool.archives.mirrors import Mirrors
from buildtool.network.settings import Route

#: Where the world finds an archive, without the scheme.
_KNOWN = {
    "debian": (
        "deb.debian.org/debian",
        "cdn-fastly.deb.debian.org/debian",
        "ftp.debian.org/debian",
        "http.debian.net/debian",
    ),
    "debian-security": (
        "deb.debian.org/debian-security",
        "cdn-fastly.deb.debian.org/debian-security",
        "security.debian.org/debian-security",
        "security.debian.org",
    ),
    "pypi": ("pypi.org/simple",),
    "pypi-packages": ("files.pythonhosted.org/packages", "pypi.org/packages"),
    "npm": ("registry.npmjs.org",),
}
_PYPI_PACKAGES = "https://files.pythonhosted.org/packages"


def routes(mirrors: Mirrors) -> tuple[Route, ...]:
    """The routes of a machine with these mirrors.

    The address of a mirror is one of its archive too: pages of an index that were written
    there lead back to it, and no lock may name it.
    """
    packages = tuple(_packages(mirrors.indexes["pypi"]))
    found: dict[str, Route] = {}
    for archive, bases in {**mirrors.bases, **mirrors.indexes, "pypi-packages": packages}.items():
        places = tuple(f"{base}/" for base in bases)
        archived = tuple(f"{base}/" for base in mirrors.snapshots(archive))
        known = [f"{scheme}://{address}/" for scheme in ("http", "https") for address in _KNOWN[archive]]
        for prefix in (*known, *(public(place) for place in places)):
            found.setdefault(prefix, Route(prefix, archive, places, archived))
    return tuple(found.values())


def _packages(indexes: Iterable[str]) -> Iterator[str]:
    """Where the files are that an index links to: beside it, as all but the public one have it."""
    for index in indexes:
        parts = urlsplit(index)
        if parts.hostname != "pypi.org" and parts.path.endswith("/simple"):
            path = parts.path.removesuffix("/simple") + "/packages"
            yield urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    yield _PYPI_PACKAGES
