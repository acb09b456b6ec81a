"""COPY and ADD: from source paths to entries of a layer, by BuildKit's rules.

- A folder as a source means its contents; the destination folder, if it must be
  made, is 0755 like every parent that is made, not of the source's mode.
- Folders inside take mode and owner of the source's, also where they exist; those that
  are only on the way to something copied (`--parents`, exceptions to `--exclude`) take the mode.
- Links that name a source, or lie in the destination, are followed inside their
  own root; links among the contents stay links.
- A file never replaces a folder, a folder never a file or a link.
- Hard links survive inside one source.
"""

from collections.abc import Callable

from buildtool.diag import BuildError, suggestion
from buildtool.executor.patterns import has_wildcards, matches, split_wildcards
from buildtool.executor.steps.archives import Spool, add_archive
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.modes import octal
from buildtool.executor.steps.trees import Item, SourceTree, resolve
from buildtool.executor.work import CopyWork
from buildtool.graph.ignore import IgnoreMatcher
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, Kind, display, parent_of


class Copier:
    """One copy: `owner` None keeps the source's, `mode` None too; times of its own files are `epoch`."""

    def __init__(
        self,
        work: CopyWork,
        source: SourceTree,
        draft: LayerDraft,
        owner: tuple[int, int] | None,
        mode: Callable[[int, bool], int] | None,
        epoch: int,
        spool: Spool,
    ) -> None:
        self.work = work
        self.source = source
        self.draft = draft
        self.owner = owner
        self.mode = mode
        self.epoch = epoch
        self.spool = spool
        self.exclude = IgnoreMatcher(work.exclude) if work.exclude else None

    def copy(self) -> None:
        """Copy every source path."""
        for path in self.work.paths:
            if self.work.parents:
                self._with_parents(path)
                continue
            for found in self._sources(path):
                self._one(found)

    def _with_parents(self, path: str) -> None:
        """Copy what a pattern means, with the folders between it and the root or the pivot `/./`."""
        before, _, pattern = f"/{path.strip('/')}".rpartition("/./")
        wanted = (pattern if before else path).strip("/")
        found = has_wildcards(before) or has_wildcards(wanted)
        for top in self._sources(before) if before else (b"",):
            base = resolve(self.source, top)
            if base is None:
                raise self._not_found(top)
            dest = self._make_folders(self.work.dest.encode("utf-8", "surrogateescape"))
            found |= self._contents(base, dest, IgnoreMatcher((wanted,)))
        if not found:
            raise self._not_found(path.encode("utf-8", "surrogateescape"))

    # ------------------------------------------------------------ sources

    def _sources(self, path: str) -> list[bytes]:
        """The paths that a source means, folder by folder; a pattern means none in a folder without any."""
        clean = path.strip("/")
        if not self.work.wildcards or not has_wildcards(clean):
            plain = clean.replace("\\", "") if self.work.wildcards else clean
            return [plain.encode("utf-8", "surrogateescape")]
        fixed, pattern = split_wildcards(clean)
        above = fixed.replace("\\", "").encode("utf-8", "surrogateescape")
        base = resolve(self.source, above)
        if base is None:
            if self.source.has_folder(above):
                return []
            raise self._not_found(above)
        found: list[bytes] = []
        todo = [base]
        while todo:
            folder = todo.pop()
            for name in self.source.names(folder):
                here = folder + b"/" + name if folder else name
                relative = here[len(base) + 1 if base else 0 :].decode("utf-8", "surrogateescape")
                if self._matches(pattern, relative):
                    found.append(here)
                elif relative.count("/") < pattern.count("/"):
                    todo.append(here)
        return sorted(found, key=lambda path: path.split(b"/"))

    def _matches(self, pattern: str, relative: str) -> bool:
        try:
            return matches(pattern, relative)
        except ValueError as e:
            raise BuildError("bad-pattern", f"the pattern {pattern!r} is not right: {e}") from None

    # ------------------------------------------------------------ one source

    def _one(self, path: bytes) -> None:
        real = resolve(self.source, path)
        item = None if real is None else self.source.lookup(real)
        if real is None or item is None:
            raise self._not_found(path)
        if self.work.unpack and add_archive(
            item, self.draft, self.work.dest.encode(), self.owner, self.epoch, self.spool
        ):
            return
        dest = self._destination(item, path)
        if item.kind is Kind.DIR:
            self._contents(real, dest)
        else:
            self._place(item, dest, {})

    def _destination(self, item: Item, path: bytes) -> bytes:
        dest = self.work.dest.encode("utf-8", "surrogateescape")
        above = dest if dest.endswith(b"/") else dest.rpartition(b"/")[0]
        folder = self._make_folders(above)
        real = folder if dest.endswith(b"/") else self.draft.resolve(dest.strip(b"/"))
        there = self.draft.lookup(real)
        is_folder = not real or (there is not None and there.kind is Kind.DIR)
        if item.kind is Kind.DIR:
            if is_folder:
                return real
            if there is not None:
                raise _onto_file(real, there.kind)
            return self._make_folders(real)
        if is_folder:
            name = path.rpartition(b"/")[2]
            return real + b"/" + name if real else name
        return real

    def _make_folders(self, path: bytes) -> bytes:
        uid, gid = self.owner or (0, 0)
        mode = octal(self.work.mode) if self.work.mode else None
        return make_folders(self.draft, path, uid, gid, 0o755 if mode is None else mode & 0o777, self.epoch)

    def _contents(self, top: bytes, dest: bytes, include: IgnoreMatcher | None = None) -> bool:
        """Copy what is in a folder and not left out; deep trees are walked, not recursed into.

        With `include` only what it matches, and the folders on the way to it.
        Returns whether anything was copied.
        """
        inodes: dict[object, bytes] = {}
        made: set[bytes] = {b""}
        found = False
        everything = include is None and self.exclude is None
        todo = [b""]
        while todo:
            folder = todo.pop()
            target_folder = _below(dest, folder)
            # In a folder with nothing in it, no name can be taken: a source has each name once.
            bare = self.draft.is_bare(target_folder)
            for name in self.source.names(_below(top, folder)):
                relative = _below(folder, name)
                item = self.source.lookup(_below(top, relative))
                if item is None:
                    continue
                taken, entered = (True, True) if everything else self._chosen(relative, include)
                if item.kind is Kind.DIR and entered:
                    todo.append(relative)
                if not taken:
                    continue
                found = True
                if folder not in made:
                    self._folders_to(folder, top, dest, made)
                if item.kind is Kind.DIR:
                    made.add(relative)
                target = _below(target_folder, name)
                if not bare:
                    self._check_place(item, target)
                self._add(item, target, inodes)
        return found

    def _chosen(self, relative: bytes, include: IgnoreMatcher | None) -> tuple[bool, bool]:
        """Whether a path is copied, and whether what lies below it may be."""
        if include is None and self.exclude is None:
            return True, True
        text = relative.decode("utf-8", "surrogateescape")
        taken = include is None or include.matches(text)
        if self.exclude is not None and self.exclude.matches(text):
            return False, self.exclude.may_contain_included(text)
        return taken, True

    def _folders_to(self, folder: bytes, top: bytes, dest: bytes, made: set[bytes]) -> None:
        """Make a folder of the source and those above it, as far as they were not copied by themselves.

        Where such a folder is already, it takes the source's mode and nothing else.
        """
        missing = []
        while folder not in made:
            missing.append(folder)
            folder = parent_of(folder)
        for folder in reversed(missing):
            made.add(folder)
            item = self.source.lookup(_below(top, folder))
            assert item is not None
            target = _below(dest, folder)
            there = self.draft.lookup(target)
            if there is not None and there.kind is Kind.DIR:
                self.draft.add(there._replace(mode=item.mode))
            else:
                self._place(item, target, {})

    def _place(self, item: Item, target: bytes, inodes: dict[object, bytes]) -> None:
        self._check_place(item, target)
        self._add(item, target, inodes)

    def _check_place(self, item: Item, target: bytes) -> None:
        """Refuse to put a folder where something else is, and something else where a folder is."""
        there = self.draft.lookup(target)
        if there is None or (there.kind is Kind.DIR) is (item.kind is Kind.DIR):
            return
        if item.kind is Kind.DIR:
            raise _onto_file(target, there.kind)
        raise BuildError(
            "copy-onto-folder",
            f"cannot replace the folder {display(target)} with a {item.kind}",
            exit_status=1,
        )

    def _add(self, item: Item, target: bytes, inodes: dict[object, bytes]) -> None:
        inode = None if item.inode is None else self._inode(item, target, inodes)
        self.draft.add(self._entry(item, target), item.content, inode=inode)

    def _inode(self, item: Item, target: bytes, inodes: dict[object, bytes]) -> object:
        """What the names of one file have in common within this source, and with no other copy."""
        first = inodes.setdefault(item.inode, target)
        return (id(self), first)

    def _entry(self, item: Item, path: bytes) -> Entry:
        uid, gid = self.owner or (item.uid, item.gid)
        mode = item.mode
        if self.mode is not None and item.kind is not Kind.SYMLINK:
            mode = self.mode(mode, item.kind is Kind.DIR)
        return Entry(
            path,
            item.kind,
            mode,
            uid,
            gid,
            self.epoch if item.mtime is None else item.mtime,
            item.size,
            item.linkname,
            item.major,
            item.minor,
            item.xattrs,
        )

    def _not_found(self, path: bytes) -> BuildError:
        folder, _, name = path.rpartition(b"/")
        near = suggestion(
            name.decode("utf-8", "replace"),
            [n.decode("utf-8", "replace") for n in self.source.neighbours(folder)],
        )
        return BuildError(
            "source-not-found",
            f"there is no {display(path)!r} to copy",
            hint=near
            or "paths are relative to the context, or to the folder of the BUILD.star; "
            ".dockerignore may leave it out",
        )


def _below(folder: bytes, path: bytes) -> bytes:
    """A relative path seen from where `folder` is; both may be the empty one."""
    return folder + b"/" + path if folder and path else folder or path


def _onto_file(path: bytes, kind: Kind) -> BuildError:
    return BuildError(
        "copy-onto-file",
        f"cannot copy a folder to {display(path)}, which is a {kind}",
        hint="a folder is copied to a folder: name another destination",
        exit_status=1,
    )
