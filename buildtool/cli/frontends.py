"""What a request asks for, as the frontends say it: its targets, each with its graph."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from buildtool.cli.contexts import open_elsewhere, open_folder
from buildtool.cli.ground import Ground
from buildtool.cli.request import BuildRequest, DockerfileSubject, LabelSubject
from buildtool.cli.services import Checker, Remembered, Services, Targets
from buildtool.diag import BuildError, Warned
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image, Index, Platform
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.frontends.starlark.labels import Label
    from buildtool.frontends.starlark.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that was asked for: an image, or an index where there are several platforms.

    `label` is empty for a Dockerfile; `destinations` are the names that a push target says.
    """

    label: str
    root: Image | Index
    destinations: tuple[str, ...] = ()


class Frontends:
    """Asks the frontends, which open the ground that the build stands on.

    A `checker` takes the place of lowering where Dockerfiles are to be checked only.
    """

    def __init__(
        self,
        request: BuildRequest,
        store: Store,
        progress: Progress,
        ground: Ground,
        checker: Checker | None = None,
    ) -> None:
        self._request = request
        self._store = store
        self._progress = progress
        self._ground = ground
        self._checker = checker

    def targets(self) -> tuple[Target, ...]:
        """The graph of what was asked for; labels and annotations of the command line are in it."""
        subject = self._request.subject
        if isinstance(subject, DockerfileSubject):
            return (Target("", self._root(self._from_dockerfile(subject))),)
        return tuple(self._from_labels(subject))

    def _root(self, images: list[Image]) -> Image | Index:
        finished = tuple(_with_extras(image, self._request) for image in images)
        return finished[0] if len(finished) == 1 else index_of(finished)

    # ------------------------------------------------------------ a Dockerfile

    def _from_dockerfile(self, subject: DockerfileSubject) -> list[Image]:
        """The image of a Dockerfile on each platform."""
        epoch = self._request.epoch
        if os.path.isdir(subject.context):
            path = subject.file or os.path.join(subject.context, "Dockerfile")
            opened = open_folder(path, subject.context)
            folder = subject.context if path == "-" else os.path.dirname(os.path.abspath(path))
            services = self._services(folder)
        else:
            outside = self._ground.look_out(os.getcwd())
            opened = open_elsewhere(subject.context, subject.file, outside, self._store.blobs, epoch)
            services = self._services(os.getcwd(), opened.lock)
        services.targets = self._targets_here(services)
        contexts, build_args = dict(subject.contexts), dict(subject.build_args)
        return [
            services.lowered(opened, contexts, build_args, subject.target, platform, epoch)
            for platform in self._request.platforms
        ]

    def _targets_here(self, services: Services) -> Targets:
        """Looks targets up in the workspace of this folder, once a platform each."""

        @cache
        def find(text: str, platform: Platform) -> Image:
            with self._workspace(os.getcwd(), platform) as workspace:
                images = workspace.images(workspace.label(text), platform, self._request.epoch, services)
                for warning in workspace.warnings:
                    self._progress.warned(warning)
            found = next((image for image in images if image.platform == platform), None)
            if found is None and len(images) > 1:
                there = ", ".join(str(image.platform) for image in images)
                raise BuildError("no-such-platform", f"{text} has no image for {platform}, only for {there}")
            return found or images[0]

        return find

    # ------------------------------------------------------------ targets of BUILD files

    def _from_labels(self, subject: LabelSubject) -> Iterator[Target]:
        """Each target once; BUILD files are read for each platform, since select() asks for it."""
        found: dict[Label, dict[Platform, Image]] = {}
        destinations: dict[Label, tuple[str, ...]] = {}
        warned: dict[Warned, None] = {}
        services: Services | None = None
        for platform in self._request.platforms:
            with self._workspace(subject.folder, platform) as workspace:
                services = services or self._services(workspace.root)
                for label, pushed_to, images in self._images(workspace, subject, platform, services):
                    destinations[label] = pushed_to
                    several = len(images) > 1
                    # An index names its platforms itself, whichever are asked for.
                    named = {image.platform if several else platform: image for image in images}
                    found.setdefault(label, {}).update(named)
                warned.update(dict.fromkeys(workspace.warnings))
        for warning in warned:
            self._progress.warned(warning)
        for label, on in found.items():
            yield Target(str(label), self._root(list(on.values())), destinations[label])

    def _images(
        self, workspace: "Workspace", subject: LabelSubject, platform: Platform, services: Services
    ) -> "Iterator[tuple[Label, tuple[str, ...], tuple[Image, ...]]]":
        """What the labels mean that gives images: label, destinations, and the images on a platform."""
        for text in subject.labels:
            targets = workspace.targets(text)
            for label in targets:
                destinations = workspace.destinations(label)
                # A pattern that is built means images, one that is pushed what says where to.
                if len(targets) > 1 and (destinations is not None) != self._request.pushes:
                    continue
                try:
                    images = workspace.images(label, platform, self._request.epoch, services)
                except BuildError as error:
                    # A pattern means whatever can be built among the targets that it matches.
                    if error.code != "not-an-image" or len(targets) == 1:
                        raise
                else:
                    yield label, destinations or (), images

    def _workspace(self, folder: str, platform: Platform) -> "Workspace":
        from buildtool.frontends.starlark.workspace import Workspace

        memory = Remembered(self._store.results)
        return Workspace.open(folder, memory=memory, flags=self._request.flags, platform=platform)

    def _services(self, folder: str, text: bytes | None = None) -> Services:
        """The services of a build whose lock is in `folder`, or is a `text` that came with its context."""
        ground, request = self._ground, self._request
        ground.open(folder, text)
        services = Services(
            ground.pins,
            Remembered(self._store.results),
            self._progress,
            request.network,
            request.lending.allow,
            folder,
            ground.outside,
        )
        services.checker = self._checker
        return services


def index_of(images: tuple[Image, ...]) -> Index:
    """The index of the images of several platforms; BuildError if two of them are for the same."""
    names = [str(image.platform) for image in images]
    for name in names:
        if names.count(name) > 1:
            raise BuildError(
                "same-platform",
                f"two of the platforms asked for give an image for {name}",
                hint="FROM --platform names it, whatever is asked for; build for that one alone",
            )
    return Index(images, origin=images[0].origin)


def _with_extras(image: Image, request: BuildRequest) -> Image:
    """The image with the labels and annotations of the command line, which win over its own."""
    labels = tuple({**dict(image.config.labels), **dict(request.labels)}.items())
    annotations = tuple({**dict(image.annotations), **dict(request.annotations)}.items())
    return replace(image, config=replace(image.config, labels=labels), annotations=annotations)
