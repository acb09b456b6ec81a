"""What the frontends need of other rooms: Dockerfiles lowered, images by name, packages by request."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from buildtool.address import has_credentials
from buildtool.diag import BuildError, Span, Warned
from buildtool.digest import Digest
from buildtool.executor.progress import Progress
from buildtool.frontends.dockerfile.request import Bases, FolderContext, ImageContext, NamedContext, Request
from buildtool.graph.model import Image, Network, Platform
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import FilePin, Lock
from buildtool.lock.resolve import Pins
from buildtool.store import Results

#: Bytes of the largest Dockerfile and of the largest ignore file.
LARGEST_TEXT = 1 << 20


#: Checks the text of a Dockerfile, and gives an image in the place of the one that it describes.
Checker: TypeAlias = Callable[[bytes, Request, Bases, Lock], Image]


class Remembered:
    """What frontends worked out from texts, kept among the store's results by its key."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def get(self, key: str) -> bytes | None:
        """The bytes put under `key`, if they are still there."""
        return self._results.get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes put under those keys that are still there."""
        return self._results.get_many(keys)

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under `key`."""
        self._results.put(key, "frontend", data)


class Services:
    """Serves both frontends (`starlark.lower.Services` and `dockerfile.request.Bases`)."""

    def __init__(
        self,
        pins: Pins,
        memory: Remembered,
        progress: Progress,
        network: Network,
        allow: frozenset[str] = frozenset(),
    ) -> None:
        self._pins = pins
        self._memory = memory
        self._progress = progress
        self._network = network
        self._allow = allow
        #: Takes the place of lowering where Dockerfiles are to be checked only.
        self.checker: Checker | None = None
        self._warned: set[Warned] = set()

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Image | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None,
    ) -> Image:
        """The image of the Dockerfile at `path`; a context is an image, a folder, or a place by its URL."""
        from buildtool.frontends.dockerfile.lower import lower
        from buildtool.frontends.dockerfile.parse import parse

        text = read_dockerfile(path, span)
        filename = "Dockerfile" if path == "-" else os.path.relpath(path)
        request = Request(
            folder=os.path.abspath(folder),
            epoch=epoch,
            target=target or "",
            build_args=build_args,
            platform=platform,
            build_platform=this_platform(),
            ignore=read_ignore(path, folder),
            contexts=_Contexts(contexts, lambda name, c: self._context(name, c, platform, span)),
            network=self._network,
            allow=self._allow,
            filename=filename,
        )
        if self.checker is not None:
            return self.checker(text, request, self, self._pins.lock)
        # A tree is not kept in the store where the text holds somebody's password.
        memory = None if has_credentials(text.decode("utf-8", "replace")) else self._memory
        lowered = lower(parse(text, filename, memory), request, self)
        for warning in lowered.warnings:
            # A file that is lowered for several platforms or targets is warned of once.
            if warning not in self._warned:
                self._warned.add(warning)
                self._progress.warned(warning)
        return lowered.image

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        """The image that FROM names (`dockerfile.request.Bases`)."""
        return self.base_image(name, platform, span)

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        """The file of a URL, pinned (`dockerfile.request.Bases`)."""
        return self._pins.file(url, checksum)

    def commit(self, url: str, ref: str, checksum: str) -> str:
        """The commit of a ref of a git repository, pinned (`dockerfile.request.Bases`)."""
        return self._pins.commit(url, ref, checksum)

    def base_image(self, name: str, platform: Platform, span: Span | None) -> Image:
        """An image that exists elsewhere; only layouts on this machine so far."""
        if name.startswith("oci-layout://"):
            from buildtool.oci.reference import parse_layout_reference
            from buildtool.oci.source import base_image

            try:
                return base_image(parse_layout_reference(name), platform, asked_as=name)
            except BuildError as error:
                raise error.at(span) from None
        raise BuildError(
            "no-registry",
            f"the image {name!r} would come from a registry, which is not supported yet",
            span=span,
            hint=f"--build-context {name}=oci-layout://FOLDER gives it; so do the contexts of dockerfile()",
        )

    def debian_packages(self, request: DebianRequest, span: Span | None) -> Sequence[DebianPackage]:
        """The packages that answer a request, pinned."""
        try:
            return self._pins.debian(request)
        except BuildError as error:
            raise error.at(span) from None

    def _context(
        self, name: str, context: Image | str, platform: Platform, span: Span | None
    ) -> NamedContext:
        if isinstance(context, Image):
            return ImageContext(context)
        if context.startswith("oci-layout://"):
            return ImageContext(self.base_image(context, platform, span))
        if "://" in context or context.startswith("target:"):
            raise BuildError("not-yet", f"the named context {name}={context} is not supported yet", span=span)
        if not os.path.isdir(context):
            raise BuildError("no-context", f"the named context {name}={context} is not a folder", span=span)
        return FolderContext(os.path.abspath(context), read_ignore("", context))


class _Contexts(Mapping[str, NamedContext]):
    """Named contexts, each looked at when it is asked for: one that is not used cannot be wrong."""

    def __init__(
        self, given: Mapping[str, Image | str], look: Callable[[str, Image | str], NamedContext]
    ) -> None:
        self._given = given
        self._look = look

    def __getitem__(self, name: str) -> NamedContext:
        return self._look(name, self._given[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def this_platform() -> Platform:
    """The platform that the build runs on."""
    from buildtool.cli.request import parse_platform

    return parse_platform("")


def read_dockerfile(path: str, span: Span | None) -> bytes:
    """The bytes of a Dockerfile, `-` for standard input; BuildError `no-dockerfile`."""
    if path == "-":
        return _bounded(sys.stdin.buffer.read(LARGEST_TEXT + 1), "the Dockerfile on standard input")
    try:
        with open(path, "rb") as file:
            return _bounded(file.read(LARGEST_TEXT + 1), path)
    except OSError as error:
        shown = os.path.relpath(path)
        raise BuildError(
            "no-dockerfile",
            f"cannot read {shown}: {error.strerror}",
            span=span,
            hint="-f PATH names another Dockerfile" if span is None else "",
        ) from error


def _bounded(text: bytes, name: str) -> bytes:
    if len(text) > LARGEST_TEXT:
        raise BuildError("dockerfile-too-large", f"{name} has more than {LARGEST_TEXT} bytes")
    return text


def read_ignore(dockerfile: str, folder: str) -> tuple[str, ...]:
    """The patterns for a context: of NAME.dockerignore beside the Dockerfile NAME, else of the context."""
    from buildtool.graph.ignore import parse_ignore

    places = [f"{dockerfile}.dockerignore"] if dockerfile not in ("", "-") else []
    for place in (*places, os.path.join(folder, ".dockerignore")):
        try:
            with open(place, "rb") as file:
                return parse_ignore(file.read(LARGEST_TEXT + 1), os.path.relpath(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BuildError("no-ignore-file", f"cannot read {place}: {error.strerror}") from error
    return ()
