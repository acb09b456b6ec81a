"""One build from request to outputs: here the rooms meet, and nowhere else.

request -> frontends -> roots -> executor -> Built -> names, archives, layouts
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING

from buildtool.cli.bundles import Bundles
from buildtool.cli.contexts import open_elsewhere, open_folder
from buildtool.cli.lending import hosts_of
from buildtool.cli.lockfile import LockFile
from buildtool.cli.outside import Outside
from buildtool.cli.recorded import Internet
from buildtool.cli.request import BuildRequest, DockerfileSubject, LabelSubject
from buildtool.cli.services import Checker, Remembered, Services, Targets
from buildtool.cli.writing import ROOTS, push, tops, write
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import BuildOptions, Built, BuiltImage, Lent, Result
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image, Index, Platform
from buildtool.lock.model import Lock
from buildtool.lock.resolve import Pins
from buildtool.lock.update import dropped, restored
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.cli.accounts import Accounts
    from buildtool.executor.travel import Ledger
    from buildtool.frontends.starlark.labels import Label
    from buildtool.frontends.starlark.workspace import Workspace
    from buildtool.oci.export import Export
    from buildtool.registry.client import Registries


#: How often a build begins again because another one changed what it had pinned.
_ATTEMPTS = 4


class Session:
    """A request being carried out on the user's store; a context manager."""

    def __init__(self, request: BuildRequest, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.store = Store.open()
        self._lock_file = LockFile()
        self._locks: tuple[Lock, str] | None = None
        #: Patterns of the pins that are found anew, until they have been.
        self._moving = request.update
        self._pins: Pins | None = None
        self._outside: Outside | None = None
        self.checker: Checker | None = None
        #: Known once the frontends have been asked.
        self._opened: Ledger | None = None
        self._registries: Callable[[], Registries] | None = None
        self._labels: tuple[Label, ...] = ()
        self._destinations: dict[Label, tuple[str, ...]] = {}

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
        """Carry the graph out; the lock is written as soon as something new is pinned.

        What others wrote into it meanwhile counts: the build then begins again.
        """
        for _ in range(_ATTEMPTS):
            ledger = self._ledger()
            built = self._attempt(ledger)
            if self._lock_file.keep(self._found(done=True)):
                break
            self._moving = ()
        else:
            path = self._lock_file.path
            raise BuildError("lock-busy", f"other builds keep changing {path}", hint="run the build again")
        for image in built.images:
            self._warn_of_network(image)
        if ledger is not None and self.request.cache_to:
            from buildtool.cli.caches import write_caches

            wanted, form = self.request.cache_to, self.request.compression
            write_caches(wanted, ledger, built, self.store, form, self._reach, self.progress.warned)
        return built

    def named(self, built: Built) -> tuple[tuple[str, Result], ...]:
        """Each result with the name of its target, which is empty for a Dockerfile."""
        targets = [str(label) for label in self._labels] or [""]
        return tuple(zip(targets, built.results, strict=True))

    def _reach(self) -> "Registries":
        """The registries, once the frontends have said where the build is."""
        assert self._registries is not None
        return self._registries()

    def _attempt(self, ledger: "Ledger | None") -> Built:
        from buildtool.executor.run import Executor

        with self.store.results.batch():
            roots = self.roots()
        self._lock_file.keep(self._found())
        assert self._pins is not None
        assert self._outside is not None
        present = self._pins.clock(lambda: int(time.time()))
        authority = os.path.join(self.store.path, "authority")
        internet = Internet(self._pins, self._outside.mirrors, authority, self.request.offline)
        try:
            with self.request.lending.lent(os.environ) as lent:
                options = self._options(present, lent, ledger)
                executor = Executor(self.store, self._outside, internet, self.progress, options)
                built = executor.build(roots)
            if built.used_network:
                self._pins.record_clock(present)
        finally:
            self._lock_file.keep(self._found())
        self._remember(roots, built)
        return built

    def _options(self, present: int, lent: Lent, ledger: "Ledger | None") -> BuildOptions:
        return BuildOptions(
            jobs=self.request.jobs,
            present=present,
            no_cache=self.request.no_cache,
            compression=self.request.compression,
            runtime=os.environ.get("BUILDTOOL_RUNTIME") or None,
            lent=lent,
            root=any(output.kind in ROOTS for output in self.request.outputs),
            ledger=ledger,
            offline=self.request.offline,
        )

    def _ledger(self) -> "Ledger | None":
        """What the build takes from other caches and gives to them, where that was asked for."""
        request = self.request
        if not (request.cache_from or request.cache_to):
            return None
        if any(spec.kind == "inline" for spec in request.cache_to) and not request.pushes:
            raise BuildError(
                "bad-usage", "--cache-to type=inline goes with an image that is pushed", hint="--push"
            )
        from buildtool.cli.caches import fetching, source_of
        from buildtool.executor.travel import Ledger

        self._opened = Ledger(
            self.store,
            [source_of(spec, self._reach) for spec in request.cache_from],
            self.progress.warned,
            partial(fetching, self.progress),
            whole=any(spec.whole for spec in request.cache_to),
        )
        return self._opened

    def _remember(self, roots: Sequence[Image | Index], built: Built) -> None:
        """Keep what explains the next build, and where the images of this one come from."""
        from buildtool.cli.origins import remember
        from buildtool.cli.told import keep_provenance

        assert self._pins is not None
        accounts = self.accounts()
        with self.store.results.batch():
            for root, result in zip(roots, built.results, strict=True):
                accounts.keep(root)
                keep_provenance(self.store, root, result, self.request, self._pins.lock, accounts.listed)
            remember(self.store, roots, (image.manifest for image in built.images))

    def accounts(self) -> "Accounts":
        """What the images of this place were made of when they were last built."""
        from buildtool.cli.accounts import Accounts

        return Accounts(self.store, self._lock_file.path)

    @property
    def outside(self) -> Outside:
        """Where things come from, once the frontends have been asked."""
        assert self._outside is not None
        return self._outside

    def locks(self) -> tuple[Lock, Lock, str]:
        """The lock as it was before the build and as it is now, and the path of its file, if it has one."""
        from buildtool.lock.read import read

        before, path = self._locks or (Lock(), "")
        return before, read(path) if path else before, path

    def write(self, built: Built) -> tuple[str, ...]:
        """Name the images in the store and write the outputs; the places that were written."""
        return write(built, self.request, self.store, self.progress)

    def push(self, built: Built) -> tuple[str, ...]:
        """Push the images to registries where that was asked for; their names there."""
        if not self.request.pushes:
            return ()
        named = tuple(map(str, self.request.push_names))
        several = [(*named, *self._destinations.get(label, ())) for label in self._labels] or [named]
        done = push(built, self.request, several, self._reach(), self.store, self.progress)
        if self._opened is not None and any(spec.kind == "inline" for spec in self.request.cache_to):
            from buildtool.cli.caches import attach_caches

            pushed = list(zip(tops(built), several, strict=True))
            attach_caches(self._opened, built, pushed, self._reach(), self.store, self.request.compression)
        return done

    def push_bundle(self, bundle: "Export", name: str) -> str:
        """Push a bundle under a name, and say in the lock where it is; the name with the digest."""
        from buildtool.cli.pushing import push_all
        from buildtool.oci.model import Descriptor
        from buildtool.registry.reference import parse_reference

        assert self._registries is not None
        reference = parse_reference(name)
        descriptor = Descriptor(bundle.media_type, bundle.digest, bundle.size)
        (pushed,) = push_all(descriptor, [reference], self._registries(), self.store, self.progress)
        self._lock_file.keep(replace(self._lock_file.lock, bundle=str(reference)))
        return pushed

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
        self._labels = tuple(found)
        return [list(images.values()) for images in found.values()]

    def _images(
        self, workspace: "Workspace", subject: LabelSubject, platform: Platform, services: Services
    ) -> "Iterator[tuple[Label, tuple[Image, ...]]]":
        for text in subject.labels:
            targets = workspace.targets(text)
            for label in targets:
                destinations = workspace.destinations(label)
                if destinations is not None:
                    self._destinations[label] = destinations
                # A pattern that is built means images, one that is pushed what says where to.
                if len(targets) > 1 and (destinations is not None) != self.request.pushes:
                    continue
                try:
                    yield label, workspace.images(label, platform, self.request.epoch, services)
                except BuildError as error:
                    # A pattern means whatever can be built among the targets that it matches.
                    if error.code != "not-an-image" or len(targets) == 1:
                        raise

    def _services(self, folder: str, text: bytes | None = None) -> Services:
        """The services of a build whose lock is in `folder`, or is a `text` that came with its context."""
        self._lock_file = LockFile(folder, text, self.progress) if self.request.use_lock else LockFile()
        self._locks = self._locks or (self._lock_file.lock, self._lock_file.path)
        if self._outside is None:
            self._outside = self._outside_of(folder)
        start, anew = dropped(self._lock_file.lock, self._moving)
        self._pins = Pins(
            start,
            self._outside,
            self.request.locked or self.request.offline,
            "--offline" if self.request.offline else "--locked",
            anew,
            self.request.pull,
        )
        services = Services(
            self._pins,
            Remembered(self.store.results),
            self.progress,
            self.request.network,
            self.request.lending.allow,
            folder,
            self._outside,
        )
        services.checker = self.checker
        return services

    def _outside_of(self, folder: str) -> Outside:
        subject, access = self.request.subject, self.request.access
        named = (
            [subject.context, *dict(subject.contexts).values()]
            if isinstance(subject, DockerfileSubject)
            else []
        )
        login = partial(self.request.lending.git_login, os.environ, hosts_of(named))
        self._registries = cache(lambda: access.registries(folder))
        offline = self.request.offline
        bundles = Bundles(
            self.store.blobs,
            self.request.bundles,
            lambda: "" if offline or self._pins is None else self._pins.lock.bundle,
            self._registries,
            self.progress,
        )
        return Outside(
            self.store, folder, self._instants, self.progress, self._registries, login, offline, bundles
        )

    def _instants(self) -> tuple[int, ...]:
        return self._pins.lock.instants() if self._pins is not None else ()

    # ------------------------------------------------------------ results

    def _found(self, *, done: bool = False) -> Lock:
        """The lock as it should be written, with the old pins of whatever was not found anew.

        Those that nothing asked for leave it when the build is `done`, where it is to prune them.
        """
        if self._pins is None:
            return self._lock_file.lock
        if done and self.request.prune:
            return self._pins.pruned()
        return restored(self._lock_file.lock, self._pins.lock) if self._moving else self._pins.lock

    def _warn_of_network(self, image: BuiltImage) -> None:
        recorded = [step.title for step in image.steps if step.network == "recorded"]
        if recorded and not self.request.use_lock:
            self.progress.warned(
                Warned(
                    "recording-not-kept",
                    f"what the network answered is not kept: {recorded[0]}",
                    hint="without --no-lock it would be in buildtool.lock, and the next build the same",
                )
            )
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
