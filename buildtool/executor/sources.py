"""Sources: what they give, which needs no work but looking at files of this machine."""

import os
import threading
from collections.abc import Callable

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import key_of
from buildtool.executor.local import Listing, scan
from buildtool.executor.outputs import Chain, GitFiles, Literal, LocalFiles, Nothing, OneFile, Output
from buildtool.executor.plan import Node
from buildtool.executor.supply import Supply
from buildtool.executor.work import FileTree, LayerRef, LiteralTree
from buildtool.graph.ignore import IgnoreMatcher
from buildtool.graph.keys import key
from buildtool.graph.model import FetchSource, GitSource, ImageSource, LiteralSource, LocalSource
from buildtool.store import Store


class Sources:
    """Outputs of sources.  Used from many threads.

    `supply` hears of the layers of base images; `expect_work` is called when files are seen that
    were never seen before: something must be made then.
    """

    def __init__(self, store: Store, supply: Supply, expect_work: Callable[[], None]) -> None:
        self._store = store
        self._supply = supply
        self._expect_work = expect_work
        self._listings: dict[str, str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Remove what was only for this build."""
        with self._lock:
            listings, self._listings = self._listings, {}
        for path in listings.values():
            os.unlink(path)

    def output(self, node: Node) -> Output:
        """What the source at a node gives; BuildError, placed, if its files cannot be read."""
        step = node.step
        if isinstance(step, ImageSource):
            return self._image(step, node)
        if isinstance(step, LocalSource):
            return self._local(step)
        if isinstance(step, FetchSource):
            return OneFile(FileTree(step.digest, step.name, step.mode, step.mtime))
        if isinstance(step, GitSource):
            return GitFiles(key(step, lambda s: None))
        if isinstance(step, LiteralSource):
            return Literal(LiteralTree(tuple((f.path, f.data, f.mode) for f in step.files)))
        return Nothing()

    def listing_file(self, files: LocalFiles) -> str:
        """A file that holds the listing of some files, for the worker to read."""
        with self._lock:
            path = self._listings.get(files.listing.digest)
            if path is None:
                path = self._store.temporary("listing")
                with open(path, "wb") as f:
                    f.write(msgspec.msgpack.encode(files.listing))
                self._listings[files.listing.digest] = path
            return path

    def _image(self, step: ImageSource, node: Node) -> Chain:
        chain = Chain()
        for layer in step.layers:
            self._supply.know(node, step, layer)
            chain = chain.on_top(LayerRef(layer.diff_id, layer.digest), "")
        return chain

    def _local(self, step: LocalSource) -> LocalFiles:
        name = key_of({"listing": [step.folder, list(step.include), list(step.ignore)]})
        data = self._store.results.get(name)
        known = msgspec.msgpack.decode(data, type=Listing) if data is not None else None
        if known is None:
            self._expect_work()
        ignore = IgnoreMatcher(step.ignore) if step.ignore else None
        try:
            listing = scan(step.folder, step.include, ignore, known, self._file_clock_ns())
        except BuildError as e:
            raise e.at(step.origin.span if step.origin else None) from None
        if known is None or known.rows != listing.rows:
            self._store.results.put(name, "listing", msgspec.msgpack.encode(listing))
        return LocalFiles(step.folder, listing)

    def _file_clock_ns(self) -> int:
        """Now, by the clock that stamps files: it cannot be turned by the environment."""
        path = self._store.temporary("clock")
        with open(path, "wb") as f:
            now = os.fstat(f.fileno()).st_mtime_ns
        os.unlink(path)
        return now
