"""Roots: the tree that a process writes to, snapshots below an upper directory that takes what it writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from buildtool.executor.workshop import Workshop
from buildtool.layers.tree import Stack
from buildtool.store import Staged


def prepare_upper(upper: str, lower: Stack) -> int:
    """Give the upper directory the base root's metadata; the moment, by the clock that stamps files (ns)."""
    begun_ns = os.stat(upper).st_mtime_ns
    root = lower.root()
    os.chown(upper, root.uid, root.gid)
    os.chmod(upper, root.mode)
    os.utime(upper, (root.mtime, root.mtime))
    return begun_ns


@contextmanager
def overlaid(shop: Workshop, lowers: list[str], staged: Staged) -> Iterator[str]:
    """Snapshots below an upper directory, as one tree that can be written to."""
    root = shop.store.temporary("root")
    os.mkdir(root)
    shop.overlays.mount(root, lowers=lowers, upper=staged.fs, work=staged.work)
    try:
        yield root
    finally:
        if os.path.ismount(root):
            shop.overlays.unmount(root)
        os.rmdir(root)
