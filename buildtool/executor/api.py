"""What a caller of the executor hands in and gets back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from buildtool.diag import Span
from buildtool.digest import Digest
from buildtool.graph.model import FetchSource, GitSource, ImageSource, Platform
from buildtool.lock.exchanges import Exchange, RunPins

if TYPE_CHECKING:
    from buildtool.executor.travel import Ledger
    from buildtool.network.settings import Settings

#: The entitlement of a step to every privilege that we have.
INSECURE = "security.insecure"

Advance = Callable[[int, int | None], None]


class Fetcher(Protocol):
    """Brings bytes from elsewhere into the store's blobs; verification is the store's."""

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        """Put the file's bytes, known by `step.digest`, among the blobs; BuildError if it cannot be had."""

    def fetch_git(self, step: GitSource) -> Digest:
        """Put the files of a commit among the blobs, as the tar archive that they are; its digest."""

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob of an image among the blobs; BuildError if it cannot be had."""

    def fetch_bodies(self, digests: Iterable[Digest]) -> None:
        """Put answers to steps among the blobs, as far as they are kept anywhere but where they came from."""


class Recorded(Protocol):
    """What a lock knows of the internet, and how this machine reaches it.  Used from several threads."""

    def recording(self, step: str) -> RunPins | None:
        """The recording of the step with this action key."""

    def known(self, place: str) -> tuple[Exchange, ...]:
        """What a step called `place` need not ask of the outside."""

    def may_record(self, place: str) -> None:
        """BuildError if no recording of the step called `place` may be added."""

    def record(self, place: str, pins: RunPins) -> None:
        """The step called `place` is done, and exchanged this with the internet."""

    def settings(self) -> "Settings":
        """How a step reaches the outside; clock and recording are filled in by the executor."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What the person who builds lets steps use: it goes to their processes and nowhere else.

    `secrets` are values and `agents` sockets of SSH agents, by id.  `allow` holds
    entitlements, of which the executor knows `INSECURE`.
    """

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    agents: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to carry a graph out; none of it may change what comes out, but `present` for network steps.

    `present` is the instant, in seconds, of recordings that are made (the lock's clock),
    seen by steps that use the network.  `offline` refuses steps the host's network.
    `compression` is `gzip` or `zstd`.  With `root` the whole root filesystem of each image is
    also made an archive.  `ledger` is for caches that travel.
    """

    jobs: int
    present: int
    no_cache: bool = False
    compression: str = "gzip"
    runtime: str | None = None
    lent: Lent = Lent()
    root: bool = False
    ledger: "Ledger | None" = None
    offline: bool = False


#: The network that a process used: none, the recorded internet, or the host's.
Reached: TypeAlias = Literal["none", "recorded", "host"]


@dataclass(frozen=True, slots=True)
class BuiltStep:
    """A process that an image came of; `title` as people see it, `span` where it is written down."""

    title: str
    stage: str
    network: Reached
    span: Span | None = None

    @property
    def hermetic(self) -> bool:
        """Whether what it did followed from its inputs and the lock alone."""
        return self.network != "host"


@dataclass(frozen=True, slots=True)
class BuiltLayer:
    """A layer of a finished image: sizes in bytes, `title` of the step that made it (empty: the base's)."""

    digest: Digest
    diff_id: Digest
    size: int
    media_type: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A finished image, its manifest and config among the store's blobs; `root` a tar of all its files.

    `steps` are the processes that it came of, those of other images whose files it took among them.
    """

    manifest: Digest
    manifest_size: int
    config: Digest
    platform: Platform
    layers: tuple[BuiltLayer, ...]
    steps: tuple[BuiltStep, ...] = ()
    root: Digest | None = None

    @property
    def digest(self) -> Digest:
        """That of its manifest, which is `size` bytes."""
        return self.manifest

    @property
    def size(self) -> int:
        """Bytes of its manifest."""
        return self.manifest_size

    @property
    def images(self) -> "tuple[BuiltImage, ...]":
        """Itself, as the only one."""
        return (self,)

    @property
    def hermetic(self) -> bool:
        """Whether its digest follows from its inputs and the lock alone."""
        return all(step.hermetic for step in self.steps)

    @property
    def network_steps(self) -> tuple[str, ...]:
        """The titles of the steps that were not hermetic."""
        return tuple(dict.fromkeys(step.title for step in self.steps if not step.hermetic))


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """The index of the images of several platforms, among the store's blobs; its size in bytes."""

    digest: Digest
    size: int
    images: tuple[BuiltImage, ...]


#: What a root of the graph became.
Result: TypeAlias = BuiltImage | BuiltIndex


@dataclass(frozen=True, slots=True)
class Built:
    """What a build gave: a result for every root, in their order, and how it went.

    `used_network`: steps had the host's network, which asks for a lock's clock.
    """

    results: tuple[Result, ...]
    executed: int
    cached: int
    used_network: bool

    @property
    def images(self) -> tuple[BuiltImage, ...]:
        """The images of all results."""
        return tuple(image for result in self.results for image in result.images)
