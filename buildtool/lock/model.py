"""What a lock holds: one pin for everything that moves between two builds.

A *pin* names what was found when it was first asked for.  A pin belongs to a
*request*: it is used as long as the request stays the same, and found anew when
the request changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from buildtool.digest import Digest, sha256
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.exchanges import RunPins
from buildtool.lock.npm import NodePin
from buildtool.lock.pypi import PythonPins

#: The format that this tool writes, and the newest that it reads.
FORMAT = 1

#: The name of a lock's file, beside the Dockerfile or at the workspace's root.
FILE_NAME = "buildtool.lock"


@dataclass(frozen=True, slots=True)
class ReleasePin:
    """The signed index of a suite that packages were chosen from.

    `digest` is that of the `InRelease` file as served, `date` its own Date in
    seconds since the epoch.
    """

    archive: str
    suite: str
    date: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class DebianPins:
    """A request for Debian packages, and what answered it, in the order of installation.

    `keyring` is the digest of the keys that the request brought along, None for
    Debian's.
    """

    suites: tuple[str, ...]
    components: tuple[str, ...]
    architecture: str
    packages: tuple[str, ...]
    variant: str
    keyring: Digest | None
    releases: tuple[ReleasePin, ...]
    resolved: tuple[DebianPackage, ...]

    def answers(self, request: DebianRequest) -> bool:
        """Whether the request is still the one that these packages were chosen for."""
        return (
            self.suites == request.suites
            and self.components == request.components
            and self.architecture == request.architecture
            and sorted(self.packages) == sorted(request.packages)
            and self.variant == request.variant
            and self.keyring == keyring_digest(request)
        )


@dataclass(frozen=True, slots=True)
class FilePin:
    """A file of a URL: `size` in bytes, `modified` the instant, in seconds, that the server says (or 0)."""

    digest: Digest
    size: int
    modified: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """The pins of a Dockerfile or a workspace.

    `clock` is the instant, in seconds, of the first recording: what steps that are recorded
    see as the present.  `bundle` is the name in a registry of all that the lock names, empty
    where it was not pushed.  `images` goes from `NAME PLATFORM` to the digest of a manifest,
    `files` from a URL without credentials to its file, `git` from `URL#REF` to a commit,
    `debian` from `DebianRequest.id` to packages, `pypi` from `PythonRequest.id` to wheels,
    `npm` from the place of an archive to what it is, `runs` from the place of a step
    (`STAGE N PLATFORM`) to what it exchanged with the internet.
    """

    format: int = FORMAT
    clock: int | None = None
    bundle: str = ""
    images: Mapping[str, Digest] = field(default_factory=dict)
    files: Mapping[str, FilePin] = field(default_factory=dict)
    git: Mapping[str, str] = field(default_factory=dict)
    debian: Mapping[str, DebianPins] = field(default_factory=dict)
    pypi: Mapping[str, PythonPins] = field(default_factory=dict)
    npm: Mapping[str, NodePin] = field(default_factory=dict)
    runs: Mapping[str, RunPins] = field(default_factory=dict)

    def instants(self) -> tuple[int, ...]:
        """The dates of the releases that packages were chosen from, newest first, each once."""
        return tuple(sorted({r.date for pins in self.debian.values() for r in pins.releases}, reverse=True))


def pins_of(
    request: DebianRequest, releases: tuple[ReleasePin, ...], resolved: tuple[DebianPackage, ...]
) -> DebianPins:
    """The pins that record an answer to `request`."""
    return DebianPins(
        suites=request.suites,
        components=request.components,
        architecture=request.architecture,
        packages=tuple(sorted(request.packages)),
        variant=request.variant,
        keyring=keyring_digest(request),
        releases=releases,
        resolved=resolved,
    )


def keyring_digest(request: DebianRequest) -> Digest | None:
    """The digest that stands for a request's own keys in a lock."""
    return None if request.keyring is None else sha256(request.keyring)
