"""One build from request to outputs: here the rooms meet, and nowhere else.

request -> frontends -> roots -> executor -> Built -> names, archives, layouts
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING

from buildtool.cli.contexts import open_elsewhere, open_folder
from buildtool.cli.lending import hosts_of
from buildtool.cli.outside import Outside
from buildtool.cli.request import BuildRequest, DockerfileSubject, LabelSubject
from buildtool.cli.services import Checker, Remembered, Services, Targets
from buildtool.cli.writing import ROOTS, write
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import BuildOptions, Built, BuiltImage
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image, Index, Platform
from buildtool.lock.model import FILE_NAME, Lock
from buildtool.lock.resolve import Pins
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.cli.accounts import Accounts
    from buildtool.executor.travel import Ledger
    from buildtool.frontends.starlark.labels import Label
    from buildtool.frontends.starlark.workspace import Workspace
    from buildtool.registry.client import Registries


class Session:
    """A request being carried out on the user's store; a context manager."""

    def __init__(self, request: BuildRequest, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.store = Store.open()
        self._lock_path = ""
        self._told_of_lock = False
        self._pins: Pins | None = None
        self._outside: Outside | None = None
        self.checker: Checker | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    # ------------------------------------------------------------ the steps of a build

    def roots(self) -> tuple[Image | Index, ...]:
        """The graph of what was asked for: an image a target, or an index where there are several platforms.

        Labels and annotations of the flags are in them.
        """
        subject = self.request.subject
        if isinstance(subject, DockerfileSubject):
            targets = [self._from_dockerfile(subject)]
        else:
            targets = self._from_labels(subject)
        roots: list[Image | Index] = []
        for images in targets:
            finished = tuple(_with_extras(image, self.request) for image in images)
            roots.append(finished[0] if len(finished) == 1 else _index(finished))
        return tuple(roots)

    def build(self) -> Built:
        """Carry the graph out; the lock is written as soon as something new is pinned."""
        from buildtool.executor.run import Executor

        with self.store.results.batch():
            roots = self.roots()
        self._write_lock()
        assert self._pins is not None
        assert self._outside is not None
        present = self._pins.clock(lambda: int(time.time()))
        ledger = self._ledger()
        with self.request.lending.lent(os.environ) as lent:
            options = BuildOptions(
                jobs=self.request.jobs,
                present=present,
                no_cache=self.request.no_cache,
                compression=self.request.compression,
                runtime=os.environ.get("BUILDTOOL_RUNTIME") or None,
                lent=lent,
                root=any(output.kind in ROOTS for output in self.request.outputs),
                ledger=ledger,
            )
            built = Executor(self.store, self._outside, self.progress, options).build(roots)
        if built.used_network:
            self._pins.record_clock(present)
            self._write_lock()
        self._remember(roots, built)
        for image in built.images:
            self._warn_of_network(image)
        if ledger is not None and self.request.cache_to:
            from buildtool.cli.caches import write_caches

            request = self.request
            write_caches(
                request.cache_to,
                ledger,
                built,
                self.store,
                request.compression,
                self._open_registries,
                self.progress.warned,
            )
        return built

    def _ledger(self) -> "Ledger | None":
        """What the build takes from other caches and gives to them, where that was asked for."""
        request = self.request
        if not (request.cache_from or request.cache_to):
            return None
        from buildtool.cli.caches import source_of
        from buildtool.executor.travel import Ledger

        return Ledger(
            self.store,
            [source_of(spec, self._open_registries) for spec in request.cache_from],
            self.progress.warned,
            whole=any(spec.whole for spec in request.cache_to),
        )

    def _open_registries(self) -> "Registries":
        from buildtool.registry.client import open_registries

        return open_registries(os.path.dirname(self._lock_path) or os.getcwd())

    def _remember(self, roots: Sequence[Image | Index], built: Built) -> None:
        """Keep what explains the next build, and where the images of this one come from."""
        from buildtool.cli.origins import remember
        from buildtool.cli.told import keep_provenance, results_of

        assert self._pins is not None
        accounts = self.accounts()
        with self.store.results.batch():
            for result in results_of(roots, built):
                accounts.keep(result.root)
                keep_provenance(self.store, result, self.request, self._pins.lock, accounts.listed)
            remember(self.store, roots, (image.manifest for image in built.images))

    def accounts(self) -> "Accounts":
        """What the images of this place were made of when they were last built."""
        from buildtool.cli.accounts import Accounts

        return Accounts(self.store, self._lock_path)

    def write(self, built: Built) -> tuple[str, ...]:
        """Name the images in the store and write the outputs; the places that were written."""
        return write(built, self.request, self.store, self.progress)

    # ------------------------------------------------------------ frontends

    def _from_dockerfile(self, subject: DockerfileSubject) -> list[Image]:
        if os.path.isdir(subject.context):
            path = subject.file or os.path.join(subject.context, "Dockerfile")
            opened = open_folder(path, subject.context)
            folder = subject.context if path == "-" else os.path.dirname(os.path.abspath(path))
            services = self._services(folder)
        else:
            self._outside = self._outside_of(os.getcwd())
            opened = open_elsewhere(
                subject.context, subject.file, self._outside, self.store.blobs, self.request.epoch
            )
            services = self._services(os.getcwd(), opened.lock)
        services.targets = self._targets(services)
        return [
            services.lowered(
                opened,
                dict(subject.contexts),
                dict(subject.build_args),
                subject.target,
                platform,
                self.request.epoch,
            )
            for platform in self.request.platforms
        ]

    def _targets(self, services: Services) -> Targets:
        """Looks targets up in the workspace of this folder, once a platform each."""

        @cache
        def find(text: str, platform: Platform) -> Image:
            with self._workspace(os.getcwd(), platform) as workspace:
                images = workspace.images(workspace.label(text), platform, self.request.epoch, services)
                for warning in workspace.warnings:
                    self.progress.warned(warning)
            found = next((image for image in images if image.platform == platform), None)
            if found is None and len(images) > 1:
                there = ", ".join(str(image.platform) for image in images)
                raise BuildError("no-such-platform", f"{text} has no image for {platform}, only for {there}")
            return found or images[0]

        return find

    def _workspace(self, folder: str, platform: Platform) -> "Workspace":
        from buildtool.frontends.starlark.workspace import Workspace

        memory = Remembered(self.store.results)
        return Workspace.open(folder, memory=memory, flags=self.request.flags, platform=platform)

    def _from_labels(self, subject: LabelSubject) -> list[list[Image]]:
        """The images of each target; BUILD files are read for each platform, since select() asks for it."""
        found: dict[Label, dict[Platform, Image]] = {}
        warned: dict[Warned, None] = {}
        services: Services | None = None
        for platform in self.request.platforms:
            with self._workspace(subject.folder, platform) as workspace:
                services = services or self._services(workspace.root)
                for label, images in self._images(workspace, subject, platform, services):
                    several = len(images) > 1
                    # An index names its platforms itself, whichever are asked for.
                    named = {image.platform if several else platform: image for image in images}
                    found.setdefault(label, {}).update(named)
                warned.update(dict.fromkeys(workspace.warnings))
        for warning in warned:
            self.progress.warned(warning)
        return [list(images.values()) for images in found.values()]

    def _images(
        self, workspace: "Workspace", subject: LabelSubject, platform: Platform, services: Services
    ) -> "Iterator[tuple[Label, tuple[Image, ...]]]":
        for text in subject.labels:
            targets = workspace.targets(text)
            for label in targets:
                try:
                    yield label, workspace.images(label, platform, self.request.epoch, services)
                except BuildError as error:
                    # A pattern means whatever can be built among the targets that it matches.
                    if error.code not in ("not-an-image", "push-not-yet") or len(targets) == 1:
                        raise

    def _services(self, folder: str, text: bytes | None = None) -> Services:
        """The services of a build whose lock is in `folder`, or is a `text` that came with its context."""
        from buildtool.lock.read import loads, read

        lock = Lock()
        if self.request.use_lock and text is None:
            self._lock_path = os.path.join(folder, FILE_NAME)
            lock = read(self._lock_path)
        elif self.request.use_lock and text:
            lock = loads(text, FILE_NAME)
        if self._outside is None:
            self._outside = self._outside_of(folder)
        self._pins = Pins(lock, self._outside, self.request.locked)
        services = Services(
            self._pins,
            Remembered(self.store.results),
            self.progress,
            self.request.network,
            self.request.lending.allow,
            folder,
        )
        services.checker = self.checker
        return services

    def _outside_of(self, folder: str) -> Outside:
        subject = self.request.subject
        named = (
            [subject.context, *dict(subject.contexts).values()]
            if isinstance(subject, DockerfileSubject)
            else []
        )
        login = partial(self.request.lending.git_login, os.environ, hosts_of(named))
        return Outside(self.store, folder, self._instants, self.progress, login)

    def _instants(self) -> tuple[int, ...]:
        return self._pins.lock.instants() if self._pins is not None else ()

    # ------------------------------------------------------------ results

    def _write_lock(self) -> None:
        if not self.request.use_lock or self._pins is None or not self._pins.changed:
            return
        if self._lock_path:
            from buildtool.lock.write import write as write_lock

            write_lock(self._lock_path, self._pins.lock)
        elif not self._told_of_lock:
            self._told_of_lock = True
            self.progress.warned(
                Warned(
                    "lock-not-kept",
                    "what this build pinned is not kept: its context is not a folder of this machine",
                    hint=f"a {FILE_NAME} beside its Dockerfile would be obeyed",
                )
            )

    def _warn_of_network(self, image: BuiltImage) -> None:
        if image.hermetic:
            return
        first, more = image.network_steps[0], len(image.network_steps) - 1
        others = f" and {more} more" if more else ""
        self.progress.warned(
            Warned(
                "not-hermetic",
                f"the image depends on what the network answered to: {first}{others}",
                hint="its digest stays the same only while the network answers the same",
            )
        )


def _index(images: tuple[Image, ...]) -> Index:
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
