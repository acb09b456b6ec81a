"""One build from request to outputs: here the rooms meet, and nowhere else.

request -> frontends -> roots -> executor -> Built -> names, archives, layouts
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from buildtool.cli.outputs import Output
from buildtool.cli.outside import Outside
from buildtool.cli.request import BuildRequest, DockerfileSubject, LabelSubject
from buildtool.cli.services import Checker, Remembered, Services
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import BuildOptions, Built, BuiltImage
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image
from buildtool.lock.model import FILE_NAME, Lock
from buildtool.lock.resolve import Pins
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.cli.accounts import Accounts

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Session:
    """A request being carried out on the user's store; a context manager."""

    def __init__(self, request: BuildRequest, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.store = Store.open()
        self._lock_path = ""
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

    def roots(self) -> tuple[Image, ...]:
        """The graph of what was asked for: an image a target, with labels and annotations of the flags."""
        subject = self.request.subject
        if isinstance(subject, DockerfileSubject):
            images = [self._from_dockerfile(subject)]
        else:
            images = list(self._from_labels(subject))
        return tuple(_with_extras(image, self.request) for image in images)

    def build(self) -> Built:
        """Carry the graph out; the lock is written as soon as something new is pinned."""
        from buildtool.executor.run import Executor

        with self.store.results.batch():
            roots = self.roots()
        self._write_lock()
        assert self._pins is not None
        assert self._outside is not None
        present = self._pins.clock(lambda: int(time.time()))
        options = BuildOptions(
            jobs=self.request.jobs,
            present=present,
            no_cache=self.request.no_cache,
            compression=self.request.compression,
            runtime=os.environ.get("BUILDTOOL_RUNTIME") or None,
            lent=self.request.lending.lent(os.environ),
        )
        built = Executor(self.store, self._outside, self.progress, options).build(roots)
        if built.used_network:
            self._pins.record_clock(present)
            self._write_lock()
        accounts = self.accounts()
        with self.store.results.batch():
            for root in roots:
                accounts.keep(root)
        for image in built.images:
            self._warn_of_network(image)
        return built

    def accounts(self) -> "Accounts":
        """What the images of this place were made of when they were last built."""
        from buildtool.cli.accounts import Accounts

        return Accounts(self.store, self._lock_path)

    def write(self, built: Built) -> tuple[str, ...]:
        """Name the images in the store and write the outputs; the places that were written."""
        for image in built.images:
            for name in self.request.names:
                self.store.results.set_ref(name.short, image.manifest)
        return tuple(self._write_output(output, built) for output in self.request.outputs if output.dest)

    # ------------------------------------------------------------ frontends

    def _from_dockerfile(self, subject: DockerfileSubject) -> Image:
        path = subject.file or os.path.join(subject.context, "Dockerfile")
        folder = subject.context if path == "-" else os.path.dirname(os.path.abspath(path))
        services = self._services(folder)
        return services.dockerfile(
            path,
            subject.context,
            dict(subject.contexts),
            dict(subject.build_args),
            subject.target,
            self.request.platform,
            self.request.epoch,
            None,
        )

    def _from_labels(self, subject: LabelSubject) -> Iterator[Image]:
        from buildtool.frontends.starlark.workspace import Workspace

        with Workspace.open(
            subject.folder,
            memory=Remembered(self.store.results),
            flags=self.request.flags,
            platform=self.request.platform,
        ) as workspace:
            services = self._services(workspace.root)
            for text in subject.labels:
                targets = workspace.targets(text)
                for label in targets:
                    try:
                        yield workspace.lower(label, self.request.platform, self.request.epoch, services)
                    except BuildError as error:
                        # A pattern means whatever can be built among the targets that it matches.
                        if error.code != "not-an-image" or len(targets) == 1:
                            raise
            for warning in workspace.warnings:
                self.progress.warned(warning)

    def _services(self, folder: str) -> Services:
        """The services of a build whose lock is in `folder`."""
        from buildtool.lock.read import read

        self._lock_path = os.path.join(folder, FILE_NAME)
        lock = read(self._lock_path) if self.request.use_lock else Lock()
        self._outside = Outside(self.store, folder, self._instants, self.progress)
        self._pins = Pins(lock, self._outside, self.request.locked)
        services = Services(
            self._pins,
            Remembered(self.store.results),
            self.progress,
            self.request.network,
            self.request.lending.allow,
        )
        services.checker = self.checker
        return services

    def _instants(self) -> tuple[int, ...]:
        return self._pins.lock.instants() if self._pins is not None else ()

    # ------------------------------------------------------------ results

    def _write_lock(self) -> None:
        if self.request.use_lock and self._pins is not None and self._pins.changed:
            from buildtool.lock.write import write

            write(self._lock_path, self._pins.lock)

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

    def _write_output(self, output: Output, built: Built) -> str:
        from buildtool.oci.archive import write_archive, write_archive_file
        from buildtool.oci.export import Export, write_layout

        names = tuple(name.full for name in self.request.names)
        exports = [Export(i.manifest, i.manifest_size, _MANIFEST, names, i.platform) for i in built.images]
        docker = output.kind == "docker"
        if not output.tar:
            write_layout(output.dest, exports, self.store.blobs)
        elif output.dest != "-":
            write_archive_file(output.dest, exports, self.store.blobs, docker=docker)
        elif sys.stdout.isatty():
            raise BuildError("bad-output", "an archive is not for a terminal: redirect it, or name a file")
        else:
            write_archive(sys.stdout.buffer, exports, self.store.blobs, docker=docker)
        return output.dest


def _with_extras(image: Image, request: BuildRequest) -> Image:
    """The image with the labels and annotations of the command line, which win over its own."""
    labels = tuple({**dict(image.config.labels), **dict(request.labels)}.items())
    annotations = tuple({**dict(image.annotations), **dict(request.annotations)}.items())
    return replace(image, config=replace(image.config, labels=labels), annotations=annotations)
