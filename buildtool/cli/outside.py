"""What brings things from elsewhere: downloads, layers of layouts, choices of packages.

A build that has everything never makes any of it, nor imports what it is made of.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from buildtool.address import public
from buildtool.cli.bundles import Bundles
from buildtool.cli.telling import Told, telling
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.executor.api import Advance
from buildtool.executor.progress import Progress
from buildtool.graph.keys import key
from buildtool.graph.model import FetchSource, GitSource, Image, ImageSource
from buildtool.lock.debian import DebianRequest
from buildtool.lock.model import DebianPins, FilePin
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonPins, PythonRequest, python_pins
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.archives.fetch import Fetchers, HttpFetcher, LayerFetcher
    from buildtool.archives.git import Git
    from buildtool.archives.http import Web
    from buildtool.archives.mirrors import Mirrors
    from buildtool.archives.pypi import WheelIndex
    from buildtool.reference import Reference
    from buildtool.registry.client import Registries


class Outside:
    """An `executor.api.Fetcher` and a `lock.resolve.Resolver`.

    `folder` is where a `buildtool.toml` may name mirrors; `instants` are the lock's;
    `git_login` gives the Authorization header for a host of repositories, empty for none.
    What `bundles` have is taken from there.  With `offline` nothing is asked of a network:
    BuildError `offline`, naming what was needed.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        instants: Callable[[], tuple[int, ...]],
        progress: Progress,
        registries: "Callable[[], Registries]",
        git_login: Callable[[str], str] = lambda host: "",
        offline: bool = False,
        bundles: Bundles | None = None,
    ) -> None:
        self._bundles = bundles
        self._git_login = git_login
        self._store = store
        self._folder = folder
        self._instants = instants
        self._progress = progress
        self._offline = offline
        self._open_registries = registries

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        """Put the file's bytes among the blobs."""
        if self._brought(step.digest):
            return
        self._ask(f"fetch {step.name}")
        self._fetchers.fetch_file(step, advance)

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob of an image among the blobs."""
        if not step.location.startswith("oci-layout:"):
            if self._brought(digest):
                return
            self._ask(f"fetch layer {digest} of {step.reference or step.manifest}")
        self._fetchers.fetch_layer(step, digest, advance)

    def debian(self, request: DebianRequest) -> DebianPins:
        """Choose packages from the archive as it is now, and tell that this goes on."""
        from buildtool.archives.debian import DebianArchive

        with self._telling(f"choose Debian packages for {request.name}"):
            return DebianArchive(self._http).debian(request)

    def python(self, request: PythonRequest) -> PythonPins:
        """Choose wheels from the index as it is now, and tell that this goes on."""
        from buildtool.archives.wheels import choose

        with self._telling(f"choose Python packages for {request.name}"):
            return python_pins(request, choose(self._wheels, request))

    def node(self, archives: Sequence[NodeArchive]) -> Sequence[NodePin]:
        """Download archives of a registry and hold them against their integrity."""
        from buildtool.archives.npm import bring

        with self._telling(f"look at {len(archives)} packages of npm"):
            return bring(self._http, archives)

    def image(self, name: str, platform: str) -> Digest:
        """The manifest that a name of a registry stands for now, and tell that it is looked up."""
        from buildtool.cli.platforms import parse_platform
        from buildtool.registry.reference import parse_reference
        from buildtool.registry.source import find_image

        reference = parse_reference(name)
        with self._telling(f"look up {reference.short} for {platform}"):
            return find_image(self._registries, reference, self._store.blobs, parse_platform(platform))

    def base_image(self, reference: "Reference", manifest: Digest) -> Image:
        """The image of a manifest in a registry, its layers left where they are."""
        from buildtool.registry.source import base_image, config_of

        if self._brought(manifest):
            self._brought(config_of(self._store.blobs, manifest))
        else:
            self._ask(f"fetch the manifest of {reference}")
        return base_image(self._registries, reference, manifest, self._store.blobs)

    def file(self, url: str, expect: Digest | None) -> FilePin:
        """Download the file of a URL as it is now, and tell that this goes on."""
        from buildtool.archives.remote import download

        with self._telling(f"fetch {public(url)}") as told:
            return download(self._web, self._store.blobs, url, expect, told.download)

    def commit(self, url: str, ref: str) -> str:
        """The commit of a ref of a git repository as it is now."""
        with self._telling(f"look up {ref or 'the default branch'} of {public(url)}"):
            return self._git.commit(url, ref)

    def fetch_git(self, step: GitSource) -> Digest:
        """Put the files of a commit among the blobs; their archive."""
        archive = self._bundles.git(key(step, lambda s: None)) if self._bundles else None
        if archive is not None:
            return archive
        self._ask(f"fetch commit {step.commit} of {public(step.url)}")
        return self._git.fetch(step)

    def fetch_bodies(self, digests: Iterable[Digest]) -> None:
        """Put answers to steps among the blobs, as far as bundles have them."""
        for digest in digests:
            self._brought(digest)

    def mirrors(self) -> "Mirrors":
        """Where the archives are served for this machine."""
        return self._http.mirrors

    def _brought(self, digest: Digest) -> bool:
        """Whether the store has a blob, or a bundle had it."""
        return self._bundles.bring(digest) if self._bundles else self._store.blobs.has(digest)

    def _ask(self, what: str) -> None:
        """Refuse to do something, where nothing may be asked of a network."""
        if self._offline:
            raise BuildError(
                "offline",
                f"cannot {what}: nothing is asked of the network",
                hint="build once without --offline, or take it along: buildtool lock bundle, --bundle",
                exit_status=1,
            )

    def _telling(self, what: str) -> AbstractContextManager[Told]:
        """Show something that the network is asked for before there is a plan."""
        self._ask(what)
        return telling(self._progress, what)

    @cached_property
    def _git(self) -> "Git":
        from buildtool.archives.git import Git

        return Git(self._store.blobs, self._store.temporary, os.environ, login=self._git_login)

    @cached_property
    def _registries(self) -> "Registries":
        return self._open_registries()

    @cached_property
    def _web(self) -> "Web":
        from buildtool.archives.http import Web
        from buildtool.proxy import environment_proxies

        return Web(environment_proxies(os.environ))

    @cached_property
    def _http(self) -> "HttpFetcher":
        from buildtool.archives.fetch import HttpFetcher
        from buildtool.archives.mirrors import discover

        return HttpFetcher(
            self._store.blobs,
            lambda: discover(self._folder, os.environ, self._instants()),
            self._web,
        )

    @cached_property
    def _fetchers(self) -> "Fetchers":
        from buildtool.archives.fetch import Fetchers
        from buildtool.registry.source import RegistryLayers

        layers: dict[str, LayerFetcher] = {
            "oci-layout": _LayoutLayers(self._store),
            "docker": RegistryLayers(self._registries, self._store.blobs),
        }
        return Fetchers(self._http, layers, {"pypi": lambda filename: self._wheels.addresses(filename)})

    @cached_property
    def _wheels(self) -> "WheelIndex":
        from buildtool.archives.pypi import WheelIndex

        return WheelIndex(self._http)


class _LayoutLayers:
    """Layers of images in layouts and archives on this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Copy a layer blob from the layout that the step's location names."""
        from buildtool.oci.layout import copy_blob
        from buildtool.oci.source import layout_of

        copy_blob(layout_of(step.location), digest, self._store.blobs, advance)
