"""FileOp carried out: its actions change a draft over the base, and the draft becomes the layer.

No filesystem is mounted and nothing is unpacked but what the base needs to be
looked up in: files go from where they are straight into the layer.
"""

from buildtool.executor.steps.archives import Spool
from buildtool.executor.steps.copying import Copier
from buildtool.executor.steps.debs import unpack_debs
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.modes import changer
from buildtool.executor.steps.owners import owner_of
from buildtool.executor.steps.trees import SourceTree, open_tree
from buildtool.executor.work import CopyWork, DebsWork, FileWork, FolderWork, LinkWork, Outcome
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, Kind
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
            outcome = shop.write(draft.entries(), work.compression, observer)
    finally:
        spool.close()
    for source in sources:
        source.check()
    return outcome


def _bring_files(
    action: CopyWork | DebsWork, source: SourceTree, lower: Stack, draft: LayerDraft, epoch: int, spool: Spool
) -> None:
    if isinstance(action, DebsWork):
        unpack_debs(source, draft, spool, epoch)
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
