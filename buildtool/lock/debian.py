"""What a root filesystem asks of a Debian archive, and the packages that answer it.

Packages are named by archive, path and digest, never by the host of a mirror:
`urls` are places such as `debian:pool/main/a/apt/apt_2.6.1_amd64.deb`, which a
fetcher turns into the addresses of the mirrors of its machine.
"""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError, suggestion
from buildtool.digest import Digest

#: The archives that a suite can belong to; each has mirrors of its own.
ARCHIVES = ("debian", "debian-security")

#: What is installed beside the packages asked for, as debootstrap and mmdebstrap call it:
#: nothing; packages marked Essential; these and Priority required; these and apt;
#: these and Priority important.
VARIANTS = ("custom", "essential", "required", "minbase", "important")

_SUITE = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+)*")
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
#: Debian policy 5.6.1 (names) and 5.6.12 (versions).
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+:~-]*")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:%-]*(/[A-Za-z0-9][A-Za-z0-9._+~:%-]*)*")


@dataclass(frozen=True, slots=True)
class DebianRequest:
    """The packages that a target wants: `name` is the target's label, unique with the architecture.

    `packages` are names, or `name=version`.  `keyring` holds OpenPGP public keys
    (binary or armoured) to trust instead of Debian's.  BuildError
    `bad-debian-request` for what cannot be a name, a suite, ...
    """

    name: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    architecture: str
    packages: tuple[str, ...]
    variant: str = "minbase"
    keyring: bytes | None = None

    def __post_init__(self) -> None:
        _known(bool(self.name), "it has no name")
        _known(bool(self.suites), "it names no suite")
        _known(bool(self.components), "it names no component")
        for suite in self.suites:
            _known(bool(_SUITE.fullmatch(suite)), f"{suite!r} is not a suite")
        for component in self.components:
            _known(bool(_COMPONENT.fullmatch(component)), f"{component!r} is not a component")
        _known(bool(_ARCHITECTURE.fullmatch(self.architecture)), f"{self.architecture!r} is no architecture")
        for package in self.packages:
            name, exact, version = package.partition("=")
            _known(bool(_NAME.fullmatch(name)), f"{package!r} is not a package's name")
            _known(not exact or bool(_VERSION.fullmatch(version)), f"{version!r} is not a version")
        if self.variant not in VARIANTS:
            raise BuildError(
                "bad-debian-request",
                f"{self.variant!r} is not a variant of a Debian root",
                hint=suggestion(self.variant, VARIANTS) or f"one of {', '.join(VARIANTS)}",
            )

    @property
    def id(self) -> str:
        """The name of the request in a lock."""
        return f"{self.name} {self.architecture}"


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A binary package of an archive: `path` is relative to the archive's root, `size` in bytes.

    `essential` packages are unpacked and configured before all others.
    """

    name: str
    version: str
    architecture: str
    archive: str
    path: str
    size: int
    digest: Digest
    essential: bool = False

    def __post_init__(self) -> None:
        _sound(bool(_NAME.fullmatch(self.name)), f"{self.name!r} is not a package's name")
        _sound(bool(_VERSION.fullmatch(self.version)), f"{self.version!r} is not a version")
        _sound(bool(_ARCHITECTURE.fullmatch(self.architecture)), f"{self.architecture!r} is no architecture")
        _sound(self.archive in ARCHIVES, f"{self.archive!r} is not an archive")
        _sound(bool(_PATH.fullmatch(self.path)), f"{self.path!r} is not a path of an archive")
        _sound(self.size > 0, f"{self.size} bytes are no package")

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the package is, for `FetchSource.urls`."""
        return (f"{self.archive}:{self.path}",)

    @property
    def filename(self) -> str:
        """The last part of the path, for `FetchSource.name`."""
        return self.path.rpartition("/")[2]


def archive_of(suite: str) -> str:
    """The archive that serves a suite: security updates have one of their own."""
    return "debian-security" if suite.endswith(("-security", "/updates")) else "debian"


def _known(true: bool, problem: str) -> None:
    if not true:
        raise BuildError("bad-debian-request", f"the request for Debian packages is wrong: {problem}")


def _sound(true: bool, problem: str) -> None:
    if not true:
        raise BuildError("bad-debian-package", f"a Debian package is described wrongly: {problem}")
