"""Unpacking ahead: the layers of a base image become snapshots while those above them still arrive."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from buildtool.digest import Digest
from buildtool.executor.work import ChainTree, LayerRef

#: Makes the snapshots of a chain whose layers are all in the store.
Unpack = Callable[[ChainTree], object]


class Ahead:
    """A context manager: `arrived` may be called from many threads, and its end waits for the unpacking.

    Layers lie on those below them, so they are unpacked one after the other, from the
    bottom, as soon as all below have arrived.  What goes wrong in it is raised at the end.
    """

    def __init__(self, layers: Sequence[LayerRef], there: Callable[[LayerRef], bool], unpack: Unpack) -> None:
        self._layers = layers
        self._unpack = unpack
        self._there = {layer.diff_id for layer in layers if there(layer)}
        self._next = 0
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(1)
        self._work: list[Future[object]] = []

    def __enter__(self) -> "Ahead":
        return self

    def arrived(self, diff_id: Digest) -> None:
        """A layer is in the store."""
        with self._guard:
            self._there.add(diff_id)
            before = self._next
            while self._next < len(self._layers) and self._layers[self._next].diff_id in self._there:
                self._next += 1
            # The last one is left to the step itself, which is about to ask for it.
            if before < self._next < len(self._layers):
                chain = ChainTree(tuple(self._layers[: self._next]))
                self._work.append(self._pool.submit(self._unpack, chain))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for work in self._work:
                work.result()
