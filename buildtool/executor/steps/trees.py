"""Source trees: whatever a copy can take files from, seen alike."""

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.executor import local
from buildtool.executor.local import Listing, Row
from buildtool.executor.work import ArchiveTree, ChainTree, FileTree, LiteralTree, LocalTree, Tree
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.entry import Content, FileContent, Kind
from buildtool.layers.plain import entries_in
from buildtool.layers.tree import Stack


class Item(NamedTuple):
    """A file as a copy sees it; `mtime` None: it has none of its own; `inode` the same for hard links."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int | None
    size: int
    linkname: bytes
    major: int
    minor: int
    xattrs: tuple[tuple[bytes, bytes], ...]
    inode: object
    content: Content


class SourceTree(Protocol):
    """Paths are relative, without slashes at their ends; b"" is the root."""

    def lookup(self, path: bytes) -> Item | None:
        """What is at a path, links not followed."""

    def names(self, path: bytes) -> list[bytes]:
        """The names in a folder, in bytewise order."""

    def neighbours(self, path: bytes) -> list[bytes]:
        """The names that a person could have meant in a folder, whether or not they are in this tree."""

    def has_folder(self, path: bytes) -> bool:
        """Whether there is such a folder, whether or not it is in this tree."""

    def check(self) -> None:
        """Raise BuildError if what was read is no longer what the step is keyed by."""


def open_tree(tree: Tree, shop: Workshop, observer: Observer) -> SourceTree:
    """The tree that an input of work names."""
    if isinstance(tree, ChainTree):
        return _StackTree(shop.stack(tree, observer))
    if isinstance(tree, LocalTree):
        with open(tree.listing, "rb") as f:
            listing = msgspec.msgpack.decode(f.read(), type=Listing)
        return _ListedTree(tree.folder, listing.rows)
    if isinstance(tree, FileTree):
        _verify(tree.digest, shop)
        size = shop.store.blobs.size(tree.digest)
        content = FileContent(shop.store.blobs.path(tree.digest), None, size)
        file = _file(tree.mode, size, content)
        return _MadeTree({tree.name.encode(): file._replace(mtime=tree.mtime)})
    if isinstance(tree, ArchiveTree):
        _verify(tree.digest, shop)
        return _MadeTree(dict(_archived(shop.store.blobs.path(tree.digest))))
    if isinstance(tree, LiteralTree):
        return _MadeTree({path.encode(): _file(mode, len(data), data) for path, data, mode in tree.files})
    raise TypeError(type(tree).__name__)


def _archived(path: str) -> Iterator[tuple[bytes, Item]]:
    """The files of an archive of our own, their bytes where they lie in it; times do not count."""
    for entry, content in entries_in(path):
        mtime, inode, link = None, None, entry.linkname
        yield (
            entry.path,
            Item(entry.kind, entry.mode, 0, 0, mtime, entry.size, link, 0, 0, (), inode, content),
        )


def _verify(digest: Digest, shop: Workshop) -> None:
    """Read a blob once, as its bytes will be read by path; BuildError `corrupt-blob`."""
    with shop.store.blobs.open(digest) as blob:
        while blob.read(1 << 20):
            pass


def resolve(tree: SourceTree, path: bytes) -> bytes | None:
    """The path with every link followed inside the tree; None where it leads nowhere."""
    done: list[bytes] = []
    todo = [p for p in reversed(path.split(b"/")) if p not in (b"", b".")]
    links = 0
    while todo:
        part = todo.pop()
        if part == b"..":
            del done[-1:]
            continue
        here = b"/".join([*done, part])
        item = tree.lookup(here)
        if item is None:
            return None
        if item.kind is not Kind.SYMLINK:
            done.append(part)
            continue
        links += 1
        if links > 255:
            raise BuildError("link-loop", f"{path!r} goes through too many links", exit_status=1)
        if item.linkname.startswith(b"/"):
            done = []
        todo += [p for p in reversed(item.linkname.split(b"/")) if p not in (b"", b".")]
    return b"/".join(done)


def _file(mode: int, size: int, content: Content) -> Item:
    return Item(Kind.FILE, mode, 0, 0, None, size, b"", 0, 0, (), None, content)


_FOLDER = Item(Kind.DIR, 0o755, 0, 0, None, 0, b"", 0, 0, (), None, None)


class _MadeTree:
    """Files that have no folder of their own on disk."""

    def __init__(self, files: dict[bytes, Item]) -> None:
        self.items = dict(files)
        self.children: dict[bytes, set[bytes]] = {b"": set()}
        for path in files:
            while path:
                parent, _, name = path.rpartition(b"/")
                self.children.setdefault(parent, set()).add(name)
                path = parent
                if path:
                    self.items.setdefault(path, _FOLDER)
        self.items[b""] = _FOLDER

    def lookup(self, path: bytes) -> Item | None:
        return self.items.get(path)

    def names(self, path: bytes) -> list[bytes]:
        return sorted(self.children.get(path, ()))

    def neighbours(self, path: bytes) -> list[bytes]:
        return self.names(path)

    def has_folder(self, path: bytes) -> bool:
        item = self.lookup(path)
        return item is not None and item.kind is Kind.DIR

    def check(self) -> None:
        pass


_KINDS = {
    local.FOLDER: Kind.DIR,
    local.LINK: Kind.SYMLINK,
    local.FIFO: Kind.FIFO,
    local.CHAR: Kind.CHAR,
    local.BLOCK: Kind.BLOCK,
}


class _ListedTree:
    """A local folder, as it was when it was listed."""

    def __init__(self, folder: bytes, rows: list[Row]) -> None:
        self.folder = folder
        self.root = folder + b"/"
        self.rows = {r.path: r for r in rows}
        #: The first names of files that have more than one.
        self.linked = {r.first for r in rows if r.first}
        self.children: dict[bytes, list[bytes]] = {}
        for path in self.rows:
            parent, _, name = path.rpartition(b"/")
            self.children.setdefault(parent, []).append(name)

    def lookup(self, path: bytes) -> Item | None:
        row = self.rows.get(path)
        if row is None:
            return None if path else _FOLDER
        if row.kind == local.FILE:
            inode = row.first or (path if path in self.linked else None)
            content = FileContent(self.root + path, None, row.size) if row.size else b""
            return Item(Kind.FILE, row.mode, 0, 0, None, row.size, b"", 0, 0, (), inode, content)
        link = row.detail if row.kind == local.LINK else b""
        major, minor = os.major(row.rdev), os.minor(row.rdev)
        return Item(_KINDS[row.kind], row.mode, 0, 0, None, 0, link, major, minor, (), None, None)

    def names(self, path: bytes) -> list[bytes]:
        return self.children.get(path, [])

    def neighbours(self, path: bytes) -> list[bytes]:
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def has_folder(self, path: bytes) -> bool:
        return os.path.isdir(self.root + path)

    def check(self) -> None:
        changed = local.unchanged(self.folder, list(self.rows.values()))
        if changed is not None:
            raise BuildError(
                "file-changed",
                f"{changed!r} changed while the image was being built",
                hint="build again when nothing writes to the folder",
                exit_status=1,
            )


class _StackTree:
    """The root filesystem of another step; its files keep owner, times and attributes."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def lookup(self, path: bytes) -> Item | None:
        node = self.stack.lookup(path)
        if node is None:
            return _FOLDER if not path else None
        entry = node.entry()
        return Item(
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime,
            entry.size,
            entry.linkname,
            entry.major,
            entry.minor,
            entry.xattrs,
            node.inode if node.stat.st_nlink > 1 else None,
            node.content(),
        )

    def names(self, path: bytes) -> list[bytes]:
        return self.stack.list(path)

    def neighbours(self, path: bytes) -> list[bytes]:
        return self.names(path)

    def has_folder(self, path: bytes) -> bool:
        item = self.lookup(path)
        return item is not None and item.kind is Kind.DIR

    def check(self) -> None:
        pass
