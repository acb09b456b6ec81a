"""Packages behind the places of archives and indexes: what people call them, and their versions."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

#: deb-src(5) and Debian policy 5.6: NAME_VERSION_ARCHITECTURE.deb, without the version's epoch.
_DEB = re.compile(r"([a-z0-9][a-z0-9+.-]+)_([^_]+)_[a-z0-9-]+\.deb")
#: PEP 427, and PEP 625 for sources.
_WHEEL = re.compile(r"([A-Za-z0-9._]+)-([^-]+)(?:-[^-]+)?-[^-]+-[^-]+-[^-]+\.whl")
_SOURCE = re.compile(r"([A-Za-z0-9._-]+)-([0-9][^-]*)\.(?:tar\.gz|zip)")
#: Where the files of PyPI's index are: an archive of its own to a lock.
_PYPI = ("pypi-packages:", "https://files.pythonhosted.org/packages/")
#: The path of an archive of an npm registry: NAME/-/LAST-VERSION.tgz.
_NODE = re.compile(r"(?:^|[/:])((?:@[^/:]+/)?[^/:]+)/-/[^/]+?-([0-9][^/]*)\.tgz$")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package that was chosen: `kind` is `debian`, `python` or `npm`."""

    kind: str
    name: str
    version: str


def package_of(place: str) -> Package | None:
    """The package that a place serves; None for everything else."""
    path = unquote(place.partition("?")[0])
    last = path.rpartition("/")[2].removeprefix("pypi:")
    if found := _DEB.fullmatch(last):
        return Package("debian", found[1], found[2])
    if found := _WHEEL.fullmatch(last):
        return Package("python", _normal(found[1]), found[2])
    if (found := _SOURCE.fullmatch(last)) and place.startswith(_PYPI):
        return Package("python", _normal(found[1]), found[2])
    if found := _NODE.search(path):
        return Package("npm", found[1], found[2])
    return None


def is_newer(version: str, than: str) -> bool:
    """Whether a version comes after another one: numbers by their value, `~` before everything."""
    return _order(version) > _order(than)


def _order(version: str) -> list[tuple[int, int]]:
    """Debian policy 5.6.12 in short, which orders the versions of the other archives well enough."""
    tokens: list[str] = re.findall(r"[0-9]+|[^0-9]", version)
    return [_rank(token) for token in tokens] + [(0, 0)]


def _rank(token: str) -> tuple[int, int]:
    if token.isdecimal():
        return (1, int(token))
    return (-1 if token == "~" else 2 if token.isalpha() else 3, ord(token))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
