"""Specs from steps: a step of the graph and its inputs' trees, put together as work."""

import os
from collections.abc import Callable, Mapping

from buildtool.executor.outputs import Chain, Literal, LocalFiles, OneFile, Output
from buildtool.executor.work import (
    ActionWork,
    ChainTree,
    CopyWork,
    DebsWork,
    FileWork,
    FolderWork,
    LinkWork,
    LocalTree,
    MountWork,
    RunWork,
    Tree,
)
from buildtool.graph.model import (
    Action,
    BindMount,
    CopyAction,
    FileOp,
    MakeFolderAction,
    MakeLinkAction,
    Mount,
    Owner,
    Run,
    Step,
)

#: The tree of an input, by `id` of its step.
Trees = Mapping[int, Tree]


def trees_of(known: Mapping[int, Output], listing_file: Callable[[LocalFiles], str]) -> dict[int, Tree]:
    """The trees of the inputs' outputs; `listing_file` writes a listing down and says where."""
    trees: dict[int, Tree] = {}
    for name, output in known.items():
        if isinstance(output, LocalFiles):
            trees[name] = LocalTree(os.fsencode(output.folder), os.fsencode(listing_file(output)))
        elif isinstance(output, Chain | OneFile | Literal):
            trees[name] = output.tree
    return trees


def file_work(step: FileOp, trees: Trees, compression: str) -> FileWork:
    """A FileOp as work."""
    return FileWork(
        base=_chain(step.base, trees),
        actions=tuple(_action(a, trees) for a in step.actions),
        epoch=step.epoch,
        compression=compression,
    )


def run_work(step: Run, trees: Trees, clock: int, network: str, compression: str | None) -> RunWork:
    """A Run as work, at an instant and with a network of the caller's choice."""
    return RunWork(
        base=_chain(step.base, trees),
        argv=step.argv,
        env=step.env,
        cwd=step.cwd,
        user=step.user,
        clock=clock,
        frozen=step.frozen,
        network=network,
        hostname=step.hostname,
        mounts=tuple(_mount(m, trees) for m in step.mounts),
        finishers=step.finishers,
        architecture=step.platform.architecture,
        compression=compression,
    )


def _chain(step: Step | None, trees: Trees) -> ChainTree:
    tree = ChainTree(()) if step is None else trees[id(step)]
    assert isinstance(tree, ChainTree)
    return tree


def _action(action: Action, trees: Trees) -> ActionWork:
    if isinstance(action, CopyAction):
        return CopyWork(
            source=trees[id(action.source)],
            paths=action.paths,
            dest=action.dest,
            owner=_owner(action.owner),
            mode=action.mode,
            exclude=action.exclude,
            parents=action.parents,
            unpack=action.unpack,
            link=action.link,
            wildcards=action.wildcards,
        )
    if isinstance(action, MakeFolderAction):
        return FolderWork(action.path, _owner(action.owner), action.mode)
    if isinstance(action, MakeLinkAction):
        return LinkWork(action.path, action.target, _owner(action.owner))
    return DebsWork(trees[id(action.source)])


def _owner(owner: Owner | None) -> tuple[str, str] | None:
    return None if owner is None else (owner.user, owner.group)


def _mount(mount: Mount, trees: Trees) -> MountWork:
    if isinstance(mount, BindMount):
        return MountWork(mount.target, trees[id(mount.source)], mount.path, mount.read_only)
    return MountWork(mount.target, size=mount.size)
