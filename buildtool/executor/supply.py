"""Supply: bytes that sources stand for, brought into the store when a step is about to need them."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from buildtool.diag import BuildError
from buildtool.digest import Digest, Key, parse_digest
from buildtool.executor.api import Fetcher
from buildtool.executor.outputs import Chain, Output
from buildtool.executor.plan import Node
from buildtool.executor.progress import Finished, Progress
from buildtool.executor.work import LayerMissing
from buildtool.graph.keys import key
from buildtool.graph.model import BaseLayer, FetchSource, GitSource, ImageSource
from buildtool.store import Store
from buildtool.tally import Tally

_T = TypeVar("_T")

#: Downloads of one step that go on at once: mirrors do not like more.
_DOWNLOADS = 8


class Supply:
    """Brings files, commits and layers of base images, each once.  Used from many threads."""

    def __init__(self, store: Store, fetcher: Fetcher, progress: Progress) -> None:
        self._store = store
        self._fetcher = fetcher
        self._progress = progress
        self._bases: dict[Digest, tuple[Node, ImageSource, BaseLayer]] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def know(self, node: Node, step: ImageSource, layer: BaseLayer) -> None:
        """Remember where a layer of a base image can be had; its download is told of at `node`."""
        self._bases[layer.diff_id] = (node, step, layer)

    def bring(self, node: Node, known: dict[int, Output]) -> None:
        """See to it that the bytes behind the inputs are in the store, fetching side by side."""
        chains = [output for output in known.values() if isinstance(output, Chain)]
        self.bring_bases([layer.diff_id for chain in chains for layer in chain.layers])
        missing: dict[str, Node] = {}
        for source in node.inputs:
            name = self._lacking(source)
            if name:
                missing.setdefault(name, source)
        if missing:
            _side_by_side(self._fetch, list(missing.values()))

    def bodies(self, digests: Sequence[Digest]) -> None:
        """Bring answers to steps that are not in the store, if they are kept elsewhere."""
        if digests:
            self._fetcher.fetch_bodies(digests)

    def _lacking(self, source: Node) -> str:
        """What a source has to bring before it can be used, by a name; empty if it is there."""
        step = source.step
        if isinstance(step, FetchSource) and not self._store.blobs.has(step.digest):
            return step.digest
        if isinstance(step, GitSource):
            name = key(step, lambda s: None)
            if self._known_archive(name) is None:
                return name
        return ""

    def _fetch(self, source: Node) -> None:
        name = self._lacking(source)
        with self._lock:
            only_one = self._fetching.setdefault(name, threading.Lock())
        with only_one:
            if self._lacking(source):
                self._fetch_now(source)

    def _fetch_now(self, source: Node) -> None:
        begun = time.monotonic()
        self._progress.started(source.info)
        try:
            size = self._bytes_from_outside(source)
        except BuildError as e:
            self._progress.failed(source.info, e.at(source.info.span))
            raise
        took = time.monotonic() - begun
        self._progress.finished(source.info, Finished(cached=False, seconds=took, size=size))

    def _bytes_from_outside(self, source: Node) -> int:
        """Bring a source's blob; its size."""
        step = source.step
        if isinstance(step, FetchSource):
            self._fetcher.fetch_file(
                step,
                lambda done, total: self._progress.advanced(source.info, "download", done, total),
            )
            return step.size
        assert isinstance(step, GitSource)
        archive = self._fetcher.fetch_git(step)
        self._store.results.put(key(step, lambda s: None), "git", archive.encode())
        return self._store.blobs.size(archive)

    def _known_archive(self, name: Key) -> Digest | None:
        """The blob with the files of a commit, if it is there."""
        data = self._store.results.get(name)
        archive = None if data is None else parse_digest(data.decode())
        return archive if archive is not None and self._store.blobs.has(archive) else None

    def git_archive(self, name: Key) -> Digest:
        """The blob with the files of a commit; LayerMissing if it is gone."""
        archive = self._known_archive(name)
        if archive is None:
            raise LayerMissing("the files of a git commit")
        return archive

    def base(self, diff_id: Digest) -> BaseLayer | None:
        """The layer as the base image has it; None for a layer of our own."""
        found = self._bases.get(diff_id)
        return None if found is None else found[2]

    def lacks(self, diff_ids: Sequence[Digest]) -> bool:
        """Whether a layer of a base image among these is not in the store."""
        found = [self._bases[diff_id][2] for diff_id in diff_ids if diff_id in self._bases]
        return not all(self._store.blobs.has(layer.digest) for layer in found)

    def bring_bases(
        self, diff_ids: Sequence[Digest], arrived: Callable[[Digest], None] = lambda diff_id: None
    ) -> None:
        """See to it that the layers of base images among these are in the store, fetching side by side.

        `arrived` hears of each that is fetched, from many threads.
        """
        by_source: dict[int, list[Digest]] = {}
        for diff_id in dict.fromkeys(diff_ids):
            if diff_id in self._bases and not self._store.blobs.has(self._bases[diff_id][2].digest):
                by_source.setdefault(self._bases[diff_id][0].info.number, []).append(diff_id)
        for missing in by_source.values():
            self._bring_layers([self._bases[diff_id] for diff_id in missing], arrived)

    def _bring_layers(
        self, missing: Sequence[tuple[Node, ImageSource, BaseLayer]], arrived: Callable[[Digest], None]
    ) -> None:
        """Fetch layers of one base image, each once however many steps wait for it."""
        info = missing[0][0].info
        size = sum(layer.size for _, _, layer in missing)
        tally = Tally(size, lambda done, total: self._progress.advanced(info, "download", done, total))

        def fetch(item: tuple[Node, ImageSource, BaseLayer]) -> None:
            _, source, layer = item
            with self._lock:
                only_one = self._fetching.setdefault(layer.digest, threading.Lock())
            with only_one:
                if not self._store.blobs.has(layer.digest):
                    self._fetcher.fetch_layer(source, layer.digest, tally.of(layer.digest))
            arrived(layer.diff_id)

        begun = time.monotonic()
        self._progress.started(info)
        try:
            _side_by_side(fetch, missing)
        except BuildError as e:
            self._progress.failed(info, e.at(info.span))
            raise
        self._progress.finished(info, Finished(cached=False, seconds=time.monotonic() - begun, size=size))


def _side_by_side(work: Callable[[_T], None], items: Sequence[_T]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_DOWNLOADS, len(items))) as pool:
        list(pool.map(work, items))
