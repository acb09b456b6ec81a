"""FileOp carried out: its actions change a draft over the base, and the draft becomes the layer.

No filesystem is mounted and nothing is unpacked but what the base needs to be
looked up in: files go from where they are straight into the layer.
"""

import threading
from collections.abc import Iterator

from buildtool.executor.steps.archives import Spool
from buildtool.executor.steps.copying import Copier
from buildtool.executor.steps.debs import unpack_debs
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.modes import changer
from buildtool.executor.steps.owners import owner_of
from buildtool.executor.steps.trees import SourceTree, open_tree
from buildtool.executor.steps.unpacking import join_files, unpack_archive
from buildtool.executor.steps.wheels import install_wheel
from buildtool.executor.work import (
    CopyWork,
    DebsWork,
    FileWork,
    FolderWork,
    JoinWork,
    LinkWork,
    Outcome,
    UnpackWork,
    WheelWork,
)
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Content, Entry, Kind
from buildtool.layers.tree import Stack


def carry_out(work: FileWork, shop: Workshop, observer: Observer) -> Outcome:
    """The layer that the actions make, one after the other; BuildError where one cannot."""
    spool = Spool(shop.store.temporary("spool"))
    sources: list[SourceTree] = []
    try:
        with _lower(work, shop, observer) as lower:
            draft = LayerDraft(lower)
            for action in work.actions:
                if isinstance(action, FolderWork):
                    _make_folder(action, lower, draft, work.epoch)
                elif isinstance(action, LinkWork):
                    _make_link(action, lower, draft, work.epoch)
                else:
                    sources.append(open_tree(action.source, shop, observer))
                    _bring_files(action, sources[-1], lower, draft, work.epoch, spool)
            check = _Check(sources)
            outcome = shop.write(check.after(draft.entries()), work.compression, observer)
            check.join()
    finally:
        spool.close()
    return outcome


class _Check:
    """Whether the sources are still what the step is keyed by, asked while the layer is synced to disk."""

    def __init__(self, sources: list[SourceTree]) -> None:
        self._sources = sources
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._look)

    def after(self, entries: Iterator[tuple[Entry, Content]]) -> Iterator[tuple[Entry, Content]]:
        """The same entries; the check begins when the last one has been read."""
        yield from entries
        self._thread.start()

    def join(self) -> None:
        """Wait for the check; BuildError `file-changed` if they are not."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _look(self) -> None:
        try:
            for source in self._sources:
                source.check()
        except BaseException as e:
            self._error = e


def _bring_files(
    action: CopyWork | DebsWork | UnpackWork | WheelWork | JoinWork,
    source: SourceTree,
    lower: Stack,
    draft: LayerDraft,
    epoch: int,
    spool: Spool,
) -> None:
    if isinstance(action, DebsWork):
        unpack_debs(source, draft, spool, epoch, status=action.status)
        return
    if isinstance(action, UnpackWork):
        unpack_archive(action, source, draft, spool, epoch)
        return
    if isinstance(action, WheelWork):
        install_wheel(action, source, draft, spool, epoch)
        return
    if isinstance(action, JoinWork):
        join_files(action, source, draft, spool, epoch)
        return
    owner = owner_of(action.owner, lower) if action.owner else None
    mode = changer(action.mode) if action.mode else None
    Copier(action, source, draft, owner, mode, epoch, spool).copy()


def _lower(work: FileWork, shop: Workshop, observer: Observer) -> Stack:
    """The tree that the actions see: with `--link` an empty one, so that the layer fits on any base."""
    if all(isinstance(a, CopyWork) and a.link for a in work.actions):
        return Stack([], shop.xattr_prefix)
    return shop.stack(work.base, observer)


def _make_folder(action: FolderWork, lower: Stack, draft: LayerDraft, epoch: int) -> None:
    uid, gid = owner_of(action.owner, lower) if action.owner else (0, 0)
    make_folders(draft, action.path.encode(), uid, gid, action.mode, epoch)


def _make_link(action: LinkWork, lower: Stack, draft: LayerDraft, epoch: int) -> None:
    uid, gid = owner_of(action.owner, lower) if action.owner else (0, 0)
    parent, _, name = action.path.encode().strip(b"/").rpartition(b"/")
    folder = make_folders(draft, parent, uid, gid, 0o755, epoch)
    path = folder + b"/" + name if folder else name
    draft.add(Entry(path, Kind.SYMLINK, 0o777, uid, gid, epoch, linkname=action.target.encode()))
