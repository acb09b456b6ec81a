"""Which addresses that steps ask for belong to an archive that has mirrors, and where those are."""

from buildtool.archives.mirrors import Mirrors
from buildtool.network.settings import Route

#: Where the world finds an archive, without the scheme.
_KNOWN = {
    "debian": ("deb.debian.org/debian", "ftp.debian.org/debian", "http.debian.net/debian"),
    "debian-security": (
        "deb.debian.org/debian-security",
        "security.debian.org/debian-security",
        "security.debian.org",
    ),
    "pypi": ("pypi.org/simple",),
    "npm": ("registry.npmjs.org",),
}


def routes(mirrors: Mirrors) -> tuple[Route, ...]:
    """The routes of a machine with these mirrors.

    The address of a mirror is one of its archive too: pages of an index that were written
    there lead back to it, and no lock may name it.
    """
    found: dict[str, Route] = {}
    for archive, bases in {**mirrors.bases, **mirrors.indexes}.items():
        places = tuple(f"{base}/" for base in bases)
        known = [f"{scheme}://{address}/" for scheme in ("http", "https") for address in _KNOWN[archive]]
        for prefix in (*known, *places):
            found.setdefault(prefix, Route(prefix, archive, places))
    return tuple(found.values())
