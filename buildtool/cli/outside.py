"""What brings things from elsewhere: downloads, layers of layouts, choices of packages.

A build that has everything never makes any of it, nor imports what it is made of.
"""

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.executor.api import Advance
from buildtool.executor.progress import Finished, Progress, StepInfo
from buildtool.graph.model import FetchSource, ImageSource
from buildtool.lock.debian import DebianRequest
from buildtool.lock.model import DebianPins
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.archives.fetch import Fetchers, HttpFetcher

#: Steps of the plan count from 0; what happens before there is a plan comes before them.
BEFORE_THE_PLAN = -1


class Outside:
    """An `executor.api.Fetcher` and a `lock.resolve.Resolver`.

    `folder` is where a `buildtool.toml` may name mirrors; `instants` are the lock's.
    """

    def __init__(
        self, store: Store, folder: str, instants: Callable[[], tuple[int, ...]], progress: Progress
    ) -> None:
        self._store = store
        self._folder = folder
        self._instants = instants
        self._progress = progress

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        """Put the file's bytes among the blobs."""
        self._fetchers.fetch_file(step, advance)

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob of an image among the blobs."""
        self._fetchers.fetch_layer(step, digest, advance)

    def debian(self, request: DebianRequest) -> DebianPins:
        """Choose packages from the archive as it is now, and tell that this goes on."""
        import time

        from buildtool.archives.debian import DebianArchive

        step = StepInfo(BEFORE_THE_PLAN, "resolve", f"choose Debian packages for {request.name}")
        begun = time.monotonic()
        self._progress.started(step)
        try:
            pins = DebianArchive(self._http).debian(request)
        except BuildError as error:
            self._progress.failed(step, error)
            raise
        self._progress.finished(step, Finished(cached=False, seconds=time.monotonic() - begun))
        return pins

    @cached_property
    def _http(self) -> "HttpFetcher":
        from buildtool.archives.fetch import HttpFetcher
        from buildtool.archives.http import Web, environment_proxies
        from buildtool.archives.mirrors import discover

        return HttpFetcher(
            self._store.blobs,
            lambda: discover(self._folder, os.environ, self._instants()),
            Web(environment_proxies(os.environ)),
        )

    @cached_property
    def _fetchers(self) -> "Fetchers":
        from buildtool.archives.fetch import Fetchers

        return Fetchers(self._http, {"oci-layout": _LayoutLayers(self._store)})


class _LayoutLayers:
    """Layers of images in layouts and archives on this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Copy a layer blob from the layout that the step's location names."""
        from buildtool.oci.layout import copy_blob
        from buildtool.oci.source import layout_of

        copy_blob(layout_of(step.location), digest, self._store.blobs, advance)
