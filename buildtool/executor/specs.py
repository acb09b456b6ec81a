"""Specs from steps: a step of the graph and its inputs' trees, put together as work."""

import os
from collections.abc import Callable, Mapping

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.executor.api import Lent
from buildtool.executor.outputs import Chain, GitFiles, Literal, LocalFiles, OneFile, Output
from buildtool.executor.work import (
    ActionWork,
    ArchiveTree,
    BindWork,
    CacheWork,
    ChainTree,
    CopyWork,
    DebsWork,
    FileWork,
    FolderWork,
    Hidden,
    JoinWork,
    LinkWork,
    LocalTree,
    MountWork,
    RunWork,
    SecretWork,
    SshWork,
    TmpfsWork,
    Tree,
    UnpackWork,
    WheelWork,
)
from buildtool.graph.model import (
    Action,
    CopyAction,
    FileOp,
    MakeFolderAction,
    MakeLinkAction,
    Owner,
    Run,
    Step,
)
from buildtool.graph.mounts import BindMount, Mount, SecretMount, SshMount, TmpfsMount
from buildtool.graph.unpacking import JoinAction, UnpackArchiveAction, UnpackWheelAction
from buildtool.network.settings import Settings

#: The tree of an input, by `id` of its step.
Trees = Mapping[int, Tree]


def trees_of(
    known: Mapping[int, Output],
    listing_file: Callable[[LocalFiles], str],
    git_archive: Callable[[GitFiles], Digest],
) -> dict[int, Tree]:
    """The trees of the inputs' outputs.

    `listing_file` writes a listing down and says where; `git_archive` says which blob
    holds the files of a commit.
    """
    trees: dict[int, Tree] = {}
    for name, output in known.items():
        if isinstance(output, LocalFiles):
            trees[name] = LocalTree(os.fsencode(output.folder), os.fsencode(listing_file(output)))
        elif isinstance(output, GitFiles):
            trees[name] = ArchiveTree(git_archive(output))
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


def run_work(
    step: Run,
    trees: Trees,
    clock: int,
    network: str,
    compression: str | None,
    lent: Lent,
    internet: Settings | None = None,
) -> RunWork:
    """A Run as work, at an instant and with a network of the caller's choice.

    In the recorded internet we are the proxy: the process is told of no other.

    BuildError `secret-missing` or `agent-missing` where it needs what nobody lent.
    """
    mounts = (_mount(m, trees, lent) for m in step.mounts)
    return RunWork(
        base=_chain(step.base, trees),
        argv=step.argv,
        env=_environment(step) if internet is None else step.env,
        cwd=step.cwd,
        user=step.user,
        clock=clock,
        frozen=step.frozen,
        network=network,
        hostname=step.hostname,
        mounts=tuple(m for m in mounts if m is not None),
        finishers=step.finishers,
        architecture=step.platform.architecture,
        compression=compression,
        insecure=step.security == "insecure",
        internet=internet,
    )


def _environment(step: Run) -> tuple[tuple[str, str], ...]:
    """The variables of a process: those of the machine's proxies only where it has none of the name."""
    own = {name for name, _ in step.env}
    return (*step.env, *(pair for pair in step.proxies if pair[0] not in own))


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
    source = trees[id(action.source)]
    if isinstance(action, UnpackArchiveAction):
        return UnpackWork(source, action.dest, action.strip, action.plain, action.executable)
    if isinstance(action, UnpackWheelAction):
        return WheelWork(source, action.prefix, action.python)
    if isinstance(action, JoinAction):
        return JoinWork(source, action.paths, action.dest, action.mode)
    return DebsWork(source, action.status)


def _owner(owner: Owner | None) -> tuple[str, str] | None:
    return None if owner is None else (owner.user, owner.group)


def _mount(mount: Mount, trees: Trees, lent: Lent) -> MountWork | None:
    """A mount as work; None for a secret or an agent that is not there and need not be."""
    if isinstance(mount, BindMount):
        return BindWork(mount.target, _chain(mount.source, trees), mount.path, mount.read_only)
    if isinstance(mount, TmpfsMount):
        return TmpfsWork(mount.target, mount.size, mount.read_only)
    if isinstance(mount, SecretMount):
        return _secret(mount, lent)
    if isinstance(mount, SshMount):
        return _agent(mount, lent)
    return CacheWork(
        mount.target,
        mount.id,
        None if mount.source is None else _chain(mount.source, trees),
        mount.path,
        mount.mode,
        mount.uid,
        mount.gid,
        mount.sharing,
        mount.read_only,
    )


def _secret(mount: SecretMount, lent: Lent) -> SecretWork | None:
    value = lent.secrets.get(mount.id)
    if value is not None:
        return SecretWork(mount.target, mount.env, Hidden(value), mount.mode, mount.uid, mount.gid)
    if mount.required:
        raise BuildError(
            "secret-missing",
            f"the step needs the secret {mount.id!r}, which was not given",
            hint=f"--secret id={mount.id},src=FILE gives it, or --secret id={mount.id},env=VARIABLE",
        )
    # As in BuildKit, the variable is there all the same, and empty.
    return SecretWork("", mount.env, Hidden(b""), 0, 0, 0) if mount.env else None


def _agent(mount: SshMount, lent: Lent) -> SshWork | None:
    agent = lent.agents.get(mount.id)
    if agent is not None:
        return SshWork(mount.target, agent, mount.mode, mount.uid, mount.gid)
    if mount.required:
        raise BuildError(
            "agent-missing",
            f"the step needs the SSH agent {mount.id!r}, which was not given",
            hint=f"--ssh {mount.id} gives that of $SSH_AUTH_SOCK, --ssh {mount.id}=SOCKET another",
        )
    return None
