"""One build from request to outputs: here the rooms meet, and nowhere else.

request -> frontends -> roots -> executor -> Built -> names, archives, layouts
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from buildtool.cli.frontends import Frontends, Target
from buildtool.cli.ground import Ground
from buildtool.cli.recorded import Internet
from buildtool.cli.request import BuildRequest
from buildtool.cli.services import Checker
from buildtool.cli.writing import ROOTS, push, tops, write
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import BuildOptions, Built, BuiltImage, Lent, Result
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image, Index
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.cli.accounts import Accounts
    from buildtool.executor.travel import Ledger
    from buildtool.oci.export import Export

#: How often a build begins again because another one changed what it had pinned.
_ATTEMPTS = 4


class Session:
    """A request being carried out on the user's store; a context manager."""

    def __init__(self, request: BuildRequest, progress: Progress, checker: Checker | None = None) -> None:
        self.request = request
        self.progress = progress
        self.store = Store.open()
        self.ground = Ground(request, self.store, progress)
        self._frontends = Frontends(request, self.store, progress, self.ground, checker)
        #: Known once the frontends have been asked.
        self._targets: tuple[Target, ...] = ()
        self._ledger: Ledger | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()

    def roots(self) -> tuple[Image | Index, ...]:
        """The graphs of the targets that were asked for."""
        self._targets = self._frontends.targets()
        return tuple(target.root for target in self._targets)

    def build(self) -> Built:
        """Carry the graph out; the lock is written as soon as something new is pinned.

        What others wrote into it meanwhile counts: the build then begins again.
        """
        for _ in range(_ATTEMPTS):
            self._ledger = self._new_ledger()
            built = self._attempt()
            if self.ground.keep(done=True):
                break
            self.ground.settle()
        else:
            path = self.ground.lock_file.path
            raise BuildError("lock-busy", f"other builds keep changing {path}", hint="run the build again")
        for image in built.images:
            for warning in _network_warnings(image, self.request):
                self.progress.warned(warning)
        if self._ledger is not None and self.request.cache_to:
            from buildtool.cli.caches import write_caches

            wanted, form, reach = self.request.cache_to, self.request.compression, self.ground.registries
            write_caches(wanted, self._ledger, built, self.store, form, reach, self.progress.warned)
        return built

    def named(self, built: Built) -> tuple[tuple[str, Result], ...]:
        """Each result with the name of its target, which is empty for a Dockerfile."""
        return tuple(zip((target.label for target in self._targets), built.results, strict=True))

    def _attempt(self) -> Built:
        from buildtool.executor.run import Executor

        with self.store.results.batch():
            roots = self.roots()
        ground = self.ground
        ground.keep()
        present = ground.pins.clock(lambda: int(time.time()))
        authority = os.path.join(self.store.path, "authority")
        internet = Internet(ground.pins, ground.outside.mirrors, authority, self.request.offline)
        try:
            with self.request.lending.lent(os.environ) as lent:
                options = self._options(present, lent)
                executor = Executor(self.store, ground.outside, internet, self.progress, options)
                built = executor.build(roots)
            if built.used_network:
                ground.pins.record_clock(present)
        finally:
            ground.keep()
        self._remember(built)
        return built

    def _options(self, present: int, lent: Lent) -> BuildOptions:
        return BuildOptions(
            jobs=self.request.jobs,
            present=present,
            no_cache=self.request.no_cache,
            compression=self.request.compression,
            runtime=os.environ.get("BUILDTOOL_RUNTIME") or None,
            lent=lent,
            root=any(output.kind in ROOTS for output in self.request.outputs),
            ledger=self._ledger,
            offline=self.request.offline,
        )

    def _new_ledger(self) -> "Ledger | None":
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

        return Ledger(
            self.store,
            [source_of(spec, self.ground.registries) for spec in request.cache_from],
            self.progress.warned,
            partial(fetching, self.progress),
            whole=any(spec.whole for spec in request.cache_to),
        )

    def _remember(self, built: Built) -> None:
        """Keep what explains the next build, and where the images of this one come from."""
        from buildtool.cli.origins import remember
        from buildtool.cli.told import keep_provenance

        roots = [target.root for target in self._targets]
        lock, accounts = self.ground.pins.lock, self.accounts()
        with self.store.results.batch():
            for root, result in zip(roots, built.results, strict=True):
                accounts.keep(root)
                keep_provenance(self.store, root, result, self.request, lock, accounts.listed)
            remember(self.store, roots, (image.manifest for image in built.images))

    def accounts(self) -> "Accounts":
        """What the images of this place were made of when they were last built."""
        from buildtool.cli.accounts import Accounts

        return Accounts(self.store, self.ground.lock_file.path)

    def write(self, built: Built) -> tuple[str, ...]:
        """Name the images in the store and write the outputs; the places that were written."""
        return write(built, self.request, self.store, self.progress)

    def push(self, built: Built) -> tuple[str, ...]:
        """Push the images to registries where that was asked for; their names there."""
        if not self.request.pushes:
            return ()
        named = tuple(map(str, self.request.push_names))
        several = [(*named, *target.destinations) for target in self._targets]
        registries = self.ground.registries()
        done = push(built, self.request, several, registries, self.store, self.progress)
        if self._ledger is not None and any(spec.kind == "inline" for spec in self.request.cache_to):
            from buildtool.cli.caches import attach_caches

            pushed = list(zip(tops(built), several, strict=True))
            attach_caches(self._ledger, built, pushed, registries, self.store, self.request.compression)
        return done

    def push_bundle(self, bundle: "Export", name: str) -> str:
        """Push a bundle under a name, and say in the lock where it is; the name with the digest."""
        from buildtool.cli.pushing import push_all
        from buildtool.oci.model import Descriptor
        from buildtool.registry.reference import parse_reference

        reference = parse_reference(name)
        descriptor = Descriptor(bundle.media_type, bundle.digest, bundle.size)
        (pushed,) = push_all(descriptor, [reference], self.ground.registries(), self.store, self.progress)
        lock_file = self.ground.lock_file
        lock_file.keep(replace(lock_file.lock, bundle=str(reference)))
        return pushed


def _network_warnings(image: BuiltImage, request: BuildRequest) -> Iterator[Warned]:
    """What people should know of an image whose steps asked the network."""
    recorded = [step.title for step in image.steps if step.network == "recorded"]
    if recorded and not request.use_lock:
        yield Warned(
            "recording-not-kept",
            f"what the network answered is not kept: {recorded[0]}",
            hint="without --no-lock it would be in buildtool.lock, and the next build the same",
        )
    if not image.hermetic:
        first, more = image.network_steps[0], len(image.network_steps) - 1
        others = f" and {more} more" if more else ""
        yield Warned(
            "not-hermetic",
            f"the image depends on what the network answered to: {first}{others}",
            hint="its digest stays the same only while the network answers the same",
        )
