"""A layer in the making: files and removals by path, over the tree below, in any order of adding.

What comes out depends only on the tree below and the tree that results, never on
the way that led there: a file that ends up as it was below is no change, a folder
that was removed and made again is told by what it lacks, and hard links point at
the first of their names.
"""

import os
from collections.abc import Hashable, Iterator

from buildtool.diag import BuildError
from buildtool.layers.entry import (
    Content,
    Entry,
    FileContent,
    FileSlice,
    Kind,
    display,
    hardlink,
    layer_name,
    parent_of,
    whiteout,
)
from buildtool.layers.tree import Node, Stack, resolve_links

_CHUNK = 1 << 20


class LayerDraft:
    """The changes that will be one layer over `lower`."""

    def __init__(self, lower: Stack) -> None:
        self._lower = lower
        self._items: dict[bytes, tuple[Entry, Content]] = {}
        #: For a path that may be a hard link: what it has in common with the others.
        self._inodes: dict[bytes, Hashable] = {}
        #: Paths at and below which nothing of the lower tree is seen.
        self._cut: set[bytes] = set()
        #: Folders that had an item somewhere below them: what spares `_drop_below` its search.
        self._holding: set[bytes] = set()

    # ------------------------------------------------------------ reading

    def lookup(self, path: bytes) -> Entry | None:
        """The entry at `path` as it would be with this layer applied (a hard link as the file it is)."""
        item = self._items.get(path)
        if item is not None:
            return item[0]
        node = self._below(path)
        return None if node is None else node.entry()

    def content(self, path: bytes) -> Content:
        """Where the bytes of the file at `path` are."""
        item = self._items.get(path)
        if item is not None:
            return item[1]
        node = self._below(path)
        return None if node is None else node.content()

    def resolve(self, path: bytes, *, follow_last: bool = True) -> bytes:
        """As `Stack.resolve`, with this layer applied."""
        return resolve_links(self._link, path, follow_last=follow_last)

    def _link(self, path: bytes) -> bytes | None:
        item = self._items.get(path)
        if item is not None:
            return item[0].linkname if item[0].kind is Kind.SYMLINK else None
        node = self._below(path)
        return node.linkname if node is not None and node.is_symlink else None

    def is_bare(self, path: bytes) -> bool:
        """Whether nothing can be below `path`: no such folder in the tree below, and nothing added."""
        return path not in self._holding and self._below(path) is None

    def _below(self, path: bytes) -> Node | None:
        """What the lower tree shows at `path` through this draft."""
        return None if self._hidden(path) else self._lower.lookup(path)

    def _hidden(self, path: bytes) -> bool:
        if path in self._cut:
            return True
        while path:
            path = parent_of(path)
            if path in self._cut:
                return True
            item = self._items.get(path)
            if item is not None and item[0].kind is not Kind.DIR:
                return True
        return False

    # ------------------------------------------------------------ changing

    def add(self, entry: Entry, content: Content = None, *, inode: Hashable = None) -> None:
        """Put an entry where its path says, in place of what is there; a folder joins a folder.

        Entries added with one `inode` (anything hashable) become names of one file.
        An entry of kind HARDLINK becomes one more name of what is at its `linkname`
        now; WHITEOUT and OPAQUE do what they say.  Nothing is resolved: a parent must
        be a folder by the time `entries` is called.
        """
        path, kind = entry.path, entry.kind
        if kind is Kind.HARDLINK:
            self._add_name(entry)
            return
        if kind is Kind.WHITEOUT:
            self.remove(path)
            return
        if kind is Kind.OPAQUE:
            self.hide_below(path)
            return
        old = self._items.get(path)
        if old is not None:
            self._inodes.pop(path, None)
            if (old[0].kind is Kind.DIR) is not (kind is Kind.DIR):
                self._cut.add(path)
        if kind is not Kind.DIR:
            self._drop_below(path)
        self._items[path] = (entry, content)
        if inode is not None:
            self._inodes[path] = inode
        folder = path.rpartition(b"/")[0]
        while folder not in self._holding:
            self._holding.add(folder)
            folder = folder.rpartition(b"/")[0]

    def remove(self, path: bytes) -> None:
        """Take away what is at `path`, with everything below it."""
        self._items.pop(path, None)
        self._inodes.pop(path, None)
        self._drop_below(path)
        self._cut.add(path)

    def hide_below(self, path: bytes) -> None:
        """Make the folder at `path` opaque: what it has in the tree below is gone, what was added stays."""
        if path not in self._items:
            node = self._below(path)
            if node is None or not node.is_dir:
                return
            self.add(node.entry())
        self._cut.add(path)

    def add_parents(
        self, path: bytes, *, mode: int = 0o755, uid: int = 0, gid: int = 0, mtime: int = 0
    ) -> None:
        """Make the folders above `path` that are missing, with this metadata.

        BuildError `not-a-folder` if one of them is something else (links included).
        """
        missing = []
        folder = parent_of(path)
        while folder:
            there = self.lookup(folder)
            if there is not None:
                if there.kind is not Kind.DIR:
                    raise BuildError("not-a-folder", f"{display(folder)} is a {there.kind}, not a folder")
                break
            missing.append(folder)
            folder = parent_of(folder)
        for folder in reversed(missing):
            self.add(Entry(folder, Kind.DIR, mode & 0o7777, uid, gid, mtime))

    def _add_name(self, link: Entry) -> None:
        first = self._items.get(link.linkname)
        if first is None:
            node = self._below(link.linkname)
            if node is None:
                raise BuildError(
                    "no-such-file",
                    f"{display(link.path)} is a hard link to {display(link.linkname)}: no file",
                )
            first = node.entry(), node.content()
            self.add(*first, inode=node.inode)
        if first[0].kind is Kind.DIR:
            raise BuildError("bad-link", f"{display(link.path)} is a hard link to a folder")
        if link.path == link.linkname:
            return
        inode = self._inodes.setdefault(link.linkname, object())
        self.add(first[0]._replace(path=link.path), first[1], inode=inode)

    def _drop_below(self, path: bytes) -> None:
        if path not in self._holding:
            return
        prefix = path + b"/" if path else b""
        for below in [p for p in self._items if p.startswith(prefix) and p != path]:
            del self._items[below]
            self._inodes.pop(below, None)

    # ------------------------------------------------------------ the layer

    def entries(self) -> Iterator[tuple[Entry, Content]]:
        """The layer: what differs from the tree below, with all parents, in the order of a layer.

        BuildError `not-a-folder` for an entry whose parent is missing or no folder.
        """
        changed = self._changed()
        for path in self._removed():
            changed[path] = (whiteout(path), None)
        self._complete_parents(changed)
        layer = sorted(((layer_name(e), e, c) for e, c in changed.values()), key=_first)
        names: dict[Hashable, Entry] = {}
        for _, entry, content in layer:
            inode = self._inodes.get(entry.path)
            if inode is not None and (first := names.setdefault(inode, entry)) is not entry:
                yield hardlink(first, entry.path), None
            else:
                yield entry, content

    def _changed(self) -> dict[bytes, tuple[Entry, Content]]:
        groups: dict[Hashable, list[bytes]] = {}
        for path, inode in self._inodes.items():
            groups.setdefault(inode, []).append(path)
        changed: dict[bytes, tuple[Entry, Content]] = {}
        for path, item in self._items.items():
            inode = self._inodes.get(path)
            if inode is not None and len(groups[inode]) > 1:
                continue
            below = self._lower.lookup(path)
            if below is None or not _same(*item, below):
                changed[path] = item
        for paths in groups.values():
            if len(paths) > 1 and not self._same_links(paths):
                changed.update((path, self._items[path]) for path in paths)
        if not self._root_differs():
            changed.pop(b"", None)
        return changed

    def _root_differs(self) -> bool:
        """Whether the root folder is a change; its mtime, which every mount point moves, does not count."""
        item = self._items.get(b"")
        if item is None:
            return False
        below = self._lower.root()
        return item[0]._replace(mtime=below.mtime) != below

    def _same_links(self, paths: list[bytes]) -> bool:
        """Whether these names of one file are names of one file below, and all is as it was."""
        inodes = set()
        for path in paths:
            below = self._lower.lookup(path)
            if below is None or not _same(*self._items[path], below):
                return False
            inodes.add(below.inode)
        return len(inodes) == 1

    def _removed(self) -> Iterator[bytes]:
        """The paths of the lower tree that a whiteout takes away."""
        for path in self._cut:
            if path and self._hidden(parent_of(path)):
                continue  # told by the whiteouts of what hides it
            if path and path not in self._items:
                if self._lower.lookup(path) is not None:
                    yield path
            else:
                yield from self._missing(path)

    def _missing(self, folder: bytes) -> Iterator[bytes]:
        """What the folder lacks that the folder below has, where the one below is hidden."""
        pending = [folder]
        while pending:
            folder = pending.pop()
            item = self._items.get(folder)
            if item is not None and item[0].kind is not Kind.DIR:
                continue
            for name in self._lower.list(folder):
                path = folder + b"/" + name if folder else name
                if path in self._items:
                    pending.append(path)
                else:
                    yield path

    def _complete_parents(self, changed: dict[bytes, tuple[Entry, Content]]) -> None:
        checked: set[bytes] = {b""}
        for path in list(changed):
            folder = path.rpartition(b"/")[0]
            while folder not in checked:
                checked.add(folder)
                item = changed.get(folder) or self._items.get(folder)
                if item is None:
                    node = self._below(folder)
                    item = (node.entry(), None) if node is not None else None
                if item is None or item[0].kind is not Kind.DIR:
                    raise BuildError("not-a-folder", f"{display(path)} lies in {display(folder)}: no folder")
                changed[folder] = item
                folder = folder.rpartition(b"/")[0]


def _first(item: tuple[bytes, Entry, Content]) -> bytes:
    return item[0]


def _same(entry: Entry, content: Content, below: Node) -> bool:
    """Whether a file is what the tree below has at its path: metadata and bytes."""
    if entry.mtime != below.mtime or entry != below.entry():
        return False
    if entry.kind is not Kind.FILE:
        return True
    ours = below.open()
    try:
        if isinstance(content, FileContent):
            theirs = os.open(content.path, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=content.dir_fd)
            try:
                return _same_bytes(ours, theirs)
            finally:
                os.close(theirs)
        if isinstance(content, FileSlice):
            with open(content.path, "rb", buffering=0) as f:
                f.seek(content.offset)
                return all(
                    os.read(ours, _CHUNK) == f.read(min(_CHUNK, left))
                    for left in range(content.size, 0, -_CHUNK)
                )
        return os.read(ours, entry.size + 1) == (content or b"")
    finally:
        os.close(ours)


def _same_bytes(one: int, other: int) -> bool:
    while True:
        data = os.read(one, _CHUNK)
        if data != os.read(other, _CHUNK):
            return False
        if not data:
            return True
