"""What a Dockerfile is built with, and what comes out: the frontend's inputs and outputs as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from buildtool.diag import Span, Warned
from buildtool.digest import Digest
from buildtool.graph.model import Image, Network, Platform, Step
from buildtool.graph.stage import FINISHERS
from buildtool.lock.model import FilePin

#: The entitlement of a RUN to ask for the host's network.
NETWORK_HOST = "network.host"


@dataclass(frozen=True, slots=True)
class FolderContext:
    """A named context that is a folder, with the patterns of its own `.dockerignore`."""

    folder: str
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageContext:
    """A named context that is an image: the same for all, or what `image` answers for a platform."""

    image: Image | Callable[[Platform], Image]

    def on(self, platform: Platform) -> Image:
        """The image for a platform; BuildError where there is none."""
        return self.image if isinstance(self.image, Image) else self.image(platform)


NamedContext: TypeAlias = FolderContext | ImageContext


class Bases(Protocol):
    """Knows what a Dockerfile names that is not in its context."""

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        """The image of that name as FROM has it (variables expanded) for the platform; BuildError if none."""
        ...

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        """The file of a URL, pinned; BuildError if it cannot be had, or has another checksum."""
        ...

    def commit(self, url: str, ref: str, checksum: str) -> str:
        """The commit of a ref of a git repository, pinned; it begins with `checksum`.  BuildError if not."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A build of a Dockerfile: `folder` is the context, `ignore` the patterns of its ignore file.

    `files` is the context where it is no folder.
    `target` names a stage, empty for the last one.  `epoch` is in seconds.  Of
    `contexts`, only those that the build needs are looked up.  `allow` holds what the
    person who builds allows beyond the usual (`NETWORK_HOST`).  `scope` tells the
    file's stages apart from those of others with the same lock.
    """

    folder: str
    epoch: int
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    platform: Platform = Platform("linux", "amd64")
    build_platform: Platform = Platform("linux", "amd64")
    ignore: tuple[str, ...] = ()
    files: Step | None = None
    contexts: Mapping[str, NamedContext] = field(default_factory=dict)
    network: Network = "default"
    allow: frozenset[str] = frozenset()
    finishers: tuple[str, ...] = FINISHERS
    frozen: bool = True
    filename: str = "Dockerfile"
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Lowered:
    """The image that a Dockerfile describes, as a graph, and what is worth a warning."""

    image: Image
    warnings: tuple[Warned, ...] = ()
