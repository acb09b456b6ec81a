"""Where archives are served: configuration of this machine, never part of a lock.

For each archive the first of these that names a place is used: the environment
(BUILDTOOL_DEBIAN_MIRROR, BUILDTOOL_DEBIAN_SECURITY_MIRROR, several separated by
spaces), `[mirrors]` in buildtool.toml, what the host's apt uses followed by
Debian's public address, and that address alone.  Behind them all, files that no
mirror has any longer come from Debian's snapshots.  For PyPI and npm it is the
environment (BUILDTOOL_PYPI_INDEX, BUILDTOOL_NPM_REGISTRY), buildtool.toml, what the
host's pip and npm use, and the public address.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from buildtool.archives.hostapt import AptSettings, apt_settings
from buildtool.diag import BuildError
from buildtool.lock.debian import ARCHIVES
from buildtool.lock.toml import Kind, Table, parse

CONFIG_NAME = "buildtool.toml"
VARIABLES = {"debian": "BUILDTOOL_DEBIAN_MIRROR", "debian-security": "BUILDTOOL_DEBIAN_SECURITY_MIRROR"}

_PUBLIC = {
    "debian": "http://deb.debian.org/debian",
    "debian-security": "http://deb.debian.org/debian-security",
}
_INDEXES = {"pypi": "https://pypi.org/simple", "npm": "https://registry.npmjs.org"}
_INDEX_VARIABLES = {"pypi": "BUILDTOOL_PYPI_INDEX", "npm": "BUILDTOOL_NPM_REGISTRY"}
_SNAPSHOT = "https://snapshot.debian.org/archive"
#: Snapshots are taken a few times a day: the first one after a release is up to this much later.
_SNAPSHOT_DELAY = 12 * 3600
_KIND = Kind("the configuration", "config", "see the manual, [mirrors]")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A URL to try, and the proxies (by scheme) that serve if the environment names none."""

    url: str
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The places of every archive, in the order to try them.

    `bases` are URLs of archives without a slash at the end.  `snapshot` is the
    folder of all snapshots, empty for none, and `instants` (seconds) are when the
    packages of a lock were current.  `check_valid_until` false accepts a mirror
    that stands still.  `indexes` are the bases of `pypi` (PEP 503) and `npm`.
    """

    bases: Mapping[str, tuple[str, ...]]
    snapshot: str = _SNAPSHOT
    instants: tuple[int, ...] = ()
    proxies: Mapping[str, str] = field(default_factory=dict)
    check_valid_until: bool = True
    indexes: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {name: (url,) for name, url in _INDEXES.items()}
    )

    def places(self, url: str) -> tuple[Place, ...]:
        """Where to get `ARCHIVE:PATH`, or an ordinary URL, which is its own only place."""
        archive, _, path = url.partition(":")
        if archive == "npm":
            return tuple(Place(f"{base}/{path}") for base in self.indexes["npm"])
        if archive not in ARCHIVES:
            if urlsplit(url).scheme not in ("http", "https"):
                raise BuildError("bad-url", f"{url[:200]!r} is not an http or https address")
            return (Place(url),)
        tail = quote(path, safe="/~:")
        found = [Place(f"{base}/{tail}", self.proxies) for base in self.bases[archive]]
        if path.startswith("pool/"):
            found += [Place(f"{base}/{tail}", self.proxies) for base in self.snapshots(archive)]
        return tuple(found)

    def snapshots(self, archive: str) -> tuple[str, ...]:
        """Where an archive of Debian is as it was when the packages of the lock were current."""
        if not self.snapshot or archive not in ARCHIVES:
            return ()
        instants = (datetime.fromtimestamp(i + _SNAPSHOT_DELAY, UTC) for i in self.instants)
        return tuple(f"{self.snapshot}/{archive}/{at.strftime('%Y%m%dT%H%M%SZ')}" for at in instants)


def discover(
    folder: str | None,
    environ: Mapping[str, str] = os.environ,
    instants: tuple[int, ...] = (),
    apt: AptSettings | None = None,
) -> Mirrors:
    """The mirrors of this machine, for the workspace or context `folder`.

    `instants` are those of the lock; `apt` replaces the host's own settings.
    BuildError `config-...` for a wrong buildtool.toml.
    """
    config = _configuration(folder)
    chosen: dict[str, tuple[str, ...]] = {}
    for archive in ARCHIVES:
        explicit = tuple(environ.get(VARIABLES[archive], "").split())
        for url in explicit:
            _checked(url, VARIABLES[archive])
        explicit = explicit or _configured(config, archive)
        chosen[archive] = tuple(url.rstrip("/") for url in explicit)
    if apt is None:
        apt = apt_settings()
    for archive, places in chosen.items():
        if not places:
            chosen[archive] = tuple(dict.fromkeys((*apt.mirrors.get(archive, ()), _PUBLIC[archive])))
    return Mirrors(
        bases=chosen,
        snapshot=_snapshot(config),
        instants=instants,
        proxies=apt.proxies,
        check_valid_until=_flag(config, "check-valid-until"),
        indexes={name: _index(name, config, environ) for name in _INDEXES},
    )


def _index(name: str, config: Table, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The bases of an index of packages, the first that is to be asked first."""
    from buildtool.archives.hostindex import npm_registry, pip_indexes

    explicit = tuple(environ.get(_INDEX_VARIABLES[name], "").split())
    for url in explicit:
        _checked(url, _INDEX_VARIABLES[name])
    found = explicit or _configured(config, name)
    if not found:
        found = pip_indexes(environ) if name == "pypi" else npm_registry(environ)
    return tuple(url.rstrip("/") for url in found or (_INDEXES[name],))


def _configuration(folder: str | None) -> Table:
    path = os.path.join(folder or "", CONFIG_NAME)
    data = b""
    if folder is not None:
        try:
            with open(path, "rb") as file:
                data = file.read(_LARGEST)
        except FileNotFoundError:
            pass
        except OSError as e:
            raise BuildError("config-unreadable", f"cannot read {path}: {e.strerror}") from e
    mirrors = parse(data, path, _KIND).table("mirrors")
    mirrors.only(*ARCHIVES, *_INDEXES, "snapshot", "check-valid-until")
    return mirrors


def _configured(config: Table, archive: str) -> tuple[str, ...]:
    if archive not in config.tree:
        return ()
    one = isinstance(config.tree[archive], str)
    urls = (config.text(archive),) if one else config.texts(archive)
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https"):
            config.fail(f"{url!r} is not an http or https address", archive, "" if one else url)
    return urls


def _snapshot(config: Table) -> str:
    value = config.tree.get("snapshot", _SNAPSHOT)
    if value is False:
        return ""
    if not isinstance(value, str) or urlsplit(value).scheme not in ("http", "https"):
        config.wrong("snapshot", "an http or https address, or false")
    return value.rstrip("/")


def _flag(config: Table, key: str) -> bool:
    value = config.tree.get(key, True)
    if not isinstance(value, bool):
        config.wrong(key, "true or false")
    return value


def _checked(url: str, variable: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise BuildError("config-invalid", f"{variable} holds {url!r}, which is not an http or https address")
