"""What the frontends need of other rooms: Dockerfiles lowered, images by name, packages by request."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from buildtool.address import has_credentials, public
from buildtool.cli.contexts import Opened, fetched_file, git_files, open_folder, read_ignore
from buildtool.diag import BuildError, Span, Warned
from buildtool.digest import Digest
from buildtool.executor.progress import Progress
from buildtool.frontends.dockerfile.request import Bases, FolderContext, ImageContext, NamedContext, Request
from buildtool.graph.model import FetchSource, Image, Network, Origin, Platform, Step
from buildtool.graph.stage import Stage
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import FilePin, Lock
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonRequest, Wheel
from buildtool.lock.resolve import Pins
from buildtool.store import Results

if TYPE_CHECKING:
    from buildtool.reference import Reference

#: How a named context says that it is the image of a target of this workspace.
TARGET = "target:"
#: Gives the image that a context is, for a platform.
ImageOf: TypeAlias = Callable[[Platform], Image]
#: Gives the image of a target by its label, as a person writes it, for a platform.
Targets: TypeAlias = Callable[[str, Platform], Image]
#: Checks the text of a Dockerfile, and gives an image in the place of the one that it describes.
Checker: TypeAlias = Callable[[bytes, Request, Bases, Lock], Image]


class FromRegistries(Protocol):
    """Images of registries."""

    def image(self, name: str, platform: str) -> Digest:
        """The manifest that a name stands for on a platform now."""

    def base_image(self, reference: "Reference", manifest: Digest) -> Image:
        """The image of a manifest, its layers left where they are."""


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
        root: str = "",
        registries: FromRegistries | None = None,
    ) -> None:
        self._pins = pins
        self._memory = memory
        self._progress = progress
        self._network = network
        self._allow = allow
        self._root = root
        #: Where there is a workspace to look in: what the named context `target:LABEL` means.
        self.targets: Targets | None = None
        self._registries = registries
        #: Takes the place of lowering where Dockerfiles are to be checked only.
        self.checker: Checker | None = None
        self._warned: set[Warned] = set()

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, ImageOf | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None,
    ) -> Image:
        """The image of the Dockerfile at `path`; a context is an image, a folder, or a place by its URL."""
        opened = open_folder(path, folder, span)
        return self.lowered(opened, contexts, build_args, target, platform, epoch, span)

    def lowered(
        self,
        opened: Opened,
        contexts: Mapping[str, ImageOf | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None = None,
    ) -> Image:
        """The image of a Dockerfile whose text is at hand."""
        from buildtool.frontends.dockerfile.lower import lower
        from buildtool.frontends.dockerfile.parse import parse

        request = Request(
            folder=opened.folder,
            epoch=epoch,
            target=target or "",
            build_args=build_args,
            platform=platform,
            build_platform=this_platform(),
            ignore=opened.ignore,
            files=opened.files,
            contexts=_Contexts(contexts, lambda name, c: self._context(name, c, platform, epoch, span)),
            network=self._network,
            allow=self._allow,
            filename=opened.filename,
            scope=self._scope(opened),
        )
        if self.checker is not None:
            return self.checker(opened.text, request, self, self._pins.lock)
        # A tree is not kept in the store where the text holds somebody's password.
        memory = None if has_credentials(opened.text.decode("utf-8", "replace")) else self._memory
        lowered = lower(parse(opened.text, opened.filename, memory), request, self)
        for warning in lowered.warnings:
            # A file that is lowered for several platforms or targets is warned of once.
            if warning not in self._warned:
                self._warned.add(warning)
                self._progress.warned(warning)
        return lowered.image

    def _scope(self, opened: Opened) -> str:
        """Which Dockerfile it is, seen from the lock; the one that is plainly called that needs no name."""
        path = os.path.relpath(opened.filename, self._root) if opened.folder and self._root else ""
        return "" if path == "Dockerfile" or path.startswith("../") else path

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
        """An image that exists elsewhere: in a layout on this machine, or in a registry, pinned."""
        if name.startswith("oci-layout://"):
            from buildtool.oci.reference import parse_layout_reference
            from buildtool.oci.source import base_image

            try:
                return base_image(parse_layout_reference(name), platform, asked_as=name)
            except BuildError as error:
                raise error.at(span) from None
        from buildtool.registry.reference import parse_reference

        try:
            return self._from_registry(parse_reference(name), platform)
        except BuildError as error:
            raise error.at(span) from None

    def _from_registry(self, reference: "Reference", platform: Platform) -> Image:
        """The image of a registry on a platform: a digest stands for itself, a tag for what the lock says."""
        name = str(reference)
        pinned = f"{name} {platform}" in self._pins.lock.images
        if self._registries is None or (self.checker is not None and not pinned):
            raise BuildError(
                "no-registry",
                f"the image {reference.short} is in no lock yet, and no registry is asked here",
                hint="a build pins it in buildtool.lock",
            )
        find = self._registries.image if reference.digest else self._pins.image
        return self._registries.base_image(reference, find(name, str(platform)))

    def debian_packages(self, request: DebianRequest, span: Span | None) -> Sequence[DebianPackage]:
        """The packages that answer a request, pinned."""
        try:
            return self._pins.debian(request)
        except BuildError as error:
            raise error.at(span) from None

    def python_packages(self, request: PythonRequest, span: Span | None) -> Sequence[Wheel]:
        """The wheels that answer a request, pinned."""
        try:
            return self._pins.python(request)
        except BuildError as error:
            raise error.at(span) from None

    def node_packages(self, archives: Sequence[NodeArchive], span: Span | None) -> Sequence[NodePin]:
        """What archives of an npm registry are, pinned, in their order."""
        try:
            return self._pins.node(archives)
        except BuildError as error:
            raise error.at(span) from None

    def _context(
        self, name: str, context: ImageOf | str, platform: Platform, epoch: int, span: Span | None
    ) -> NamedContext:
        if not isinstance(context, str):
            return ImageContext(context)
        if context.startswith(TARGET) and self.targets is not None:
            return ImageContext(partial(self.targets, context.removeprefix(TARGET)))
        if context.startswith(("oci-layout://", "docker-image://")):
            named = context.removeprefix("docker-image://")
            return ImageContext(lambda wanted: self.base_image(named, wanted, span))
        try:
            files = self._elsewhere(context, epoch)
        except BuildError as error:
            raise error.at(span) from None
        if files is not None:
            stage = Stage.scratch(platform, epoch).based_on(files, f"context {name}")
            return ImageContext(stage.image())
        if not os.path.isdir(context):
            kinds = (
                "a folder, docker-image://, oci-layout://, target:LABEL, or the URL of a repository or file"
            )
            raise BuildError(
                "no-context",
                f"the named context {name}={public(context)} is not a folder",
                span=span,
                hint=f"a named context is {kinds}",
            )
        return FolderContext(os.path.abspath(context), read_ignore("", context))

    def _elsewhere(self, context: str, epoch: int) -> Step | None:
        """The files of a named context that is a git repository or a URL, pinned; None for others.

        As in BuildKit, the file of a URL is not unpacked.
        """
        from buildtool.frontends.dockerfile.adding import adding, git_source
        from buildtool.frontends.dockerfile.remote import is_url, parse_git

        reference = None if os.path.isdir(context) else parse_git(context, context=True)
        title = f"context {public(context)}"
        if reference is not None:
            origin = Origin(f"context {reference.url}")
            return git_files(git_source(reference, commit=self.commit, origin=origin), epoch)
        if is_url(context):
            file = adding(context, "", keep_git_dir=None, bases=self, origin=Origin(title))
            assert isinstance(file, FetchSource)
            return fetched_file(file, epoch, title)
        return None


class _Contexts(Mapping[str, NamedContext]):
    """Named contexts, each looked at when it is asked for: one that is not used cannot be wrong."""

    def __init__(
        self, given: Mapping[str, ImageOf | str], look: Callable[[str, ImageOf | str], NamedContext]
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
    from buildtool.cli.platforms import parse_platform

    return parse_platform("")
