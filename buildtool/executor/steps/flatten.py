"""A whole root filesystem as one plain tar archive: what a person takes who wants files, not an image."""

from collections.abc import Iterator

from buildtool.executor.work import FlattenWork, Outcome
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.entry import Content, Entry, Kind, hardlink
from buildtool.layers.tree import Stack


def carry_out(work: FlattenWork, shop: Workshop, observer: Observer) -> Outcome:
    """The archive of all files of a chain, in the order and form of a layer; the root has no entry."""
    with shop.stack(work.chain, observer) as stack:
        return shop.write(_entries(stack), "none", observer)


def _entries(stack: Stack) -> Iterator[tuple[Entry, Content]]:
    first: dict[object, Entry] = {}
    for path, node in stack.walk():
        if not path:
            continue
        entry = node.entry()
        if node.stat.st_nlink > 1 and entry.kind is not Kind.DIR:
            known = first.setdefault(node.inode, entry)
            if known is not entry:
                yield hardlink(known, path), None
                continue
        yield entry, node.content()
