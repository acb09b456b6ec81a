"""Downloads into the store: several places in order, retries with growing pauses, bytes known by digest."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import urlsplit

from buildtool.archives.http import HttpError, Web, redacted
from buildtool.archives.mirrors import Mirrors, Place
from buildtool.diag import BuildError, Note
from buildtool.digest import Digest
from buildtool.graph.model import FetchSource, ImageSource

Advance = Callable[[int, int | None], None]

_TRIES = 3
_PAUSE = 0.5
#: The largest file whose size nobody has said, in bytes.
_LARGEST = 16 << 30


class Writer(Protocol):
    """What writes one blob."""

    def write(self, data: bytes) -> object:
        """Add bytes."""


class Blobs(Protocol):
    """What downloads need of the store's blobs."""

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there."""

    def read(self, digest: Digest, limit: int) -> bytes:
        """The whole blob, verified."""

    def path(self, digest: Digest) -> str:
        """The file that holds the blob."""

    def writer(self, expect: Digest | None = None) -> AbstractContextManager[Writer]:
        """Writes one blob; raises BuildError `digest-mismatch` at its end for other bytes."""


class HttpFetcher:
    """Fetches files and small documents; may be used from many threads.

    `mirrors` is asked once, when the first download needs it.  `pause` sleeps.
    """

    def __init__(
        self,
        blobs: Blobs,
        mirrors: Callable[[], Mirrors],
        web: Web,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.blobs = blobs
        self._find_mirrors = mirrors
        self._found_mirrors: Mirrors | None = None
        self._guard = threading.Lock()
        self._web = web
        self._pause = pause
        self._down: set[str] = set()

    @property
    def mirrors(self) -> Mirrors:
        """The mirrors in use."""
        with self._guard:
            if self._found_mirrors is None:
                self._found_mirrors = self._find_mirrors()
            return self._found_mirrors

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        """Put the file of a step among the blobs (`executor.api.Fetcher`)."""
        self.fetch_blob(step.digest, step.size, step.urls, step.name, advance)

    def fetch_blob(
        self,
        digest: Digest,
        size: int,
        urls: Sequence[str],
        name: str,
        advance: Advance = lambda done, total: None,
    ) -> None:
        """Put a file known by its digest among the blobs; `size` 0 is unknown.

        BuildError `download-failed`, or `download-changed` if a place serves other
        bytes and none serves the right ones.
        """
        if self.blobs.has(digest):
            return
        failures: list[tuple[Place, str]] = []
        changed = False
        for place in self._places(urls):
            try:
                with self.blobs.writer(digest) as out:
                    self._receive(place, out.write, size or _LARGEST, size or None, advance)
                return
            except HttpError as e:
                failures.append((place, str(e)))
            except BuildError as e:
                if e.code != "digest-mismatch":
                    raise
                failures.append((place, f"serves other bytes: {e.message}"))
                changed = True
        raise _failed(name, failures, changed=changed)

    def document(self, urls: Sequence[str], name: str, limit: int, accept: str = "") -> bytes:
        """A document that nothing is known of yet; the caller verifies it.  BuildError `download-failed`.

        `accept` are the media types wanted, as in HTTP's Accept.
        """
        failures: list[tuple[Place, str]] = []
        for place in self._places(urls):
            data = bytearray()
            try:
                self._receive(place, data.extend, limit, None, lambda done, total: None, accept)
                return bytes(data)
            except HttpError as e:
                failures.append((place, str(e)))
        raise _failed(name, failures, changed=False)

    def _places(self, urls: Sequence[str]) -> list[Place]:
        """All places of all URLs; hosts that did not answer before come last."""
        found = [place for url in urls for place in self.mirrors.places(url)]
        return sorted(found, key=lambda place: urlsplit(place.url).netloc in self._down)

    def _receive(
        self,
        place: Place,
        write: Callable[[bytes], object],
        limit: int,
        total: int | None,
        advance: Advance,
        accept: str = "",
    ) -> None:
        """Download from one place; a transfer that breaks off goes on where it stopped."""
        done = 0

        def sink(chunk: bytes) -> None:
            nonlocal done
            write(chunk)
            done += len(chunk)
            advance(done, total)

        host = urlsplit(place.url).netloc
        tries = 1 if host in self._down else _TRIES
        for number in range(1, tries + 1):
            try:
                self._web.get(place.url, sink, limit=limit, offset=done, proxies=place.proxies, accept=accept)
            except HttpError as e:
                if not e.again or number == tries:
                    if e.down:
                        self._down.add(host)
                    raise
                self._pause(max(e.wait, _PAUSE * 2 ** (number - 1)))
            else:
                self._down.discard(host)
                return


class LayerFetcher(Protocol):
    """Brings the layers of images whose location it knows."""

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob of an image among the blobs; BuildError if it cannot be had."""


class Fetchers:
    """An `executor.api.Fetcher` made of parts: files by HTTP, layers by the scheme of their location.

    `addresses` turn a place of an archive whose paths are no addresses, by its name, into those.
    """

    def __init__(
        self,
        files: HttpFetcher,
        layers: Mapping[str, LayerFetcher],
        addresses: Mapping[str, Callable[[str], tuple[str, ...]]] | None = None,
    ) -> None:
        self._files = files
        self._layers = layers
        self._addresses = addresses or {}

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        """Put the file's bytes among the blobs."""
        urls: list[str] = []
        for url in step.urls:
            archive, _, path = url.partition(":")
            find = self._addresses.get(archive)
            urls += (url,) if find is None else find(path)
        self._files.fetch_blob(step.digest, step.size, urls, step.name, advance)

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        """Put a layer blob among the blobs; BuildError `no-layer-source` for an unknown location."""
        scheme = step.location.partition(":")[0]
        fetcher = self._layers.get(scheme)
        if fetcher is None:
            raise BuildError(
                "no-layer-source",
                f"layer {digest} of {step.reference or step.manifest} is not in the store, "
                f"and nothing can bring it from {step.location or 'elsewhere'}",
                exit_status=1,
            )
        fetcher.fetch_layer(step, digest, advance)


def _failed(name: str, failures: list[tuple[Place, str]], *, changed: bool) -> BuildError:
    if changed:
        return BuildError(
            "download-changed",
            f"no place serves the {name} that was asked for",
            notes=[Note(f"{redacted(place.url)}: {why}") for place, why in failures],
            hint="what was pinned has gone or changed there; try another mirror, or update the pin",
            exit_status=1,
        )
    return BuildError(
        "download-failed",
        f"{name} could not be downloaded",
        notes=[Note(f"{redacted(place.url)}: {why}") for place, why in failures],
        hint="check the network, its proxies (http_proxy, https_proxy) and the mirrors in buildtool.toml",
        exit_status=1,
    )
