"""Run carried out: a process over an overlay of the base, and the layer that its upper directory is.

In order: mount the base's snapshots below an empty upper directory, run the
process, unmount, finish (mend what is known to differ from build to build, set
times), write the layer, and make the upper directory the layer's snapshot.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.executor.steps.owners import process_identity
from buildtool.executor.work import ChainTree, LaunchWork, MountWork, Outcome, RunWork, chain_ids
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.changes import changes
from buildtool.layers.entry import display
from buildtool.layers.finish import FinishSpec, Mended, finish
from buildtool.layers.tree import Stack
from buildtool.sandbox.bundle import HostMount, Process
from buildtool.sandbox.netns import Isolated
from buildtool.sandbox.run import Ended
from buildtool.store import Staged, chain_id

_MOST_ROWS = 4


def carry_out(work: RunWork, shop: Workshop, observer: Observer) -> Outcome:
    """The layer that the process makes; BuildError `run-failed` if it fails."""
    lowers = shop.snapshots(work.base, observer)
    with ExitStack() as held:
        lower = held.enter_context(Stack(lowers, shop.xattr_prefix))
        staged = held.enter_context(shop.store.snapshots.stage())
        begun_ns = _prepare_upper(staged.fs, lower)
        root = held.enter_context(_mounted(shop, lowers, staged))
        network = held.enter_context(Isolated()) if work.network != "host" else None
        mounts = tuple(held.enter_context(_source(m, shop, observer)) for m in work.mounts)
        process = _process(work, lower, mounts, network)
        watched = network if work.network == "watched" else None
        ended = shop.sandbox.run(
            process, root, observer.output, observer.cancel, stop=watched.reached_out if watched else None
        )
        if watched is not None and watched.reached_out():
            return Outcome(reached_out=True)
        if ended.status != 0:
            raise _failed(work, ended)
        shop.overlays.unmount(root)
        report = finish(
            staged.fs,
            lower,
            FinishSpec(
                clock=work.clock,
                window_start_ns=begun_ns,
                finishers=work.finishers,
                injected=ended.injected,
                xattr_prefix=shop.xattr_prefix,
            ),
        )
        outcome = shop.write(changes(staged.fs, lower, shop.xattr_prefix), work.compression, observer)
        below = chain_ids(work.base.layers)
        shop.store.snapshots.adopt(
            staged, chain_id(below[-1] if below else None, parse_digest(outcome.diff_id))
        )
    mended = _summary(report.mended)
    return msgspec.structs.replace(outcome, mended=mended)


def _summary(mended: Sequence[Mended]) -> tuple[str, ...]:
    """What was mended, a line a file where those are few, else one a finisher."""
    paths: dict[str, list[str]] = {}
    for each in mended:
        paths.setdefault(each.finisher, []).append(display(each.path))
    rows: list[str] = []
    for finisher, found in paths.items():
        if len(found) > _MOST_ROWS:
            found = [f"{found[0]} and {len(found) - 1:,} more"]
        rows += [f"{finisher}: {path}" for path in found]
    return tuple(rows)


def launch(work: LaunchWork, shop: Workshop, observer: Observer) -> Outcome:
    """The exit status of a process that is only watched; what it writes is thrown away."""
    process = work.process
    lowers = shop.snapshots(process.base, observer)
    with ExitStack() as held:
        lower = held.enter_context(Stack(lowers, shop.xattr_prefix))
        staged = held.enter_context(shop.store.snapshots.stage())
        _prepare_upper(staged.fs, lower)
        root = held.enter_context(_mounted(shop, lowers, staged))
        network = held.enter_context(Isolated()) if process.network != "host" else None
        ended = shop.sandbox.run(
            _process(process, lower, (), network), root, observer.output, observer.cancel
        )
    return Outcome(status=1 if ended.status is None else ended.status)


def _prepare_upper(upper: str, lower: Stack) -> int:
    """Give the upper directory the base root's metadata; the moment, by the clock that stamps files (ns)."""
    begun_ns = os.stat(upper).st_mtime_ns
    root = lower.root()
    os.chown(upper, root.uid, root.gid)
    os.chmod(upper, root.mode)
    os.utime(upper, (root.mtime, root.mtime))
    return begun_ns


@contextmanager
def _mounted(shop: Workshop, lowers: list[str], staged: Staged) -> Iterator[str]:
    root = shop.store.temporary("root")
    os.mkdir(root)
    shop.overlays.mount(root, lowers=lowers, upper=staged.fs, work=staged.work)
    try:
        yield root
    finally:
        if os.path.ismount(root):
            shop.overlays.unmount(root)
        os.rmdir(root)


@contextmanager
def _source(mount: MountWork, shop: Workshop, observer: Observer) -> Iterator[HostMount]:
    """What a mount shows, as a path of ours."""
    if mount.source is None:
        yield HostMount(mount.target, kind="tmpfs", size=mount.size, read_only=False)
        return
    if not isinstance(mount.source, ChainTree) or not mount.source.layers:
        raise BuildError(
            "unsupported-mount", f"the mount at {mount.target} needs files of a step", exit_status=1
        )
    lowers = shop.snapshots(mount.source, observer)
    view = shop.store.temporary("view")
    os.mkdir(view)
    shop.overlays.mount_view(view, lowers=lowers)
    try:
        with Stack(lowers, shop.xattr_prefix) as stack:
            inside = stack.resolve(mount.path.encode())
            if stack.lookup(inside) is None:
                raise BuildError(
                    "source-not-found",
                    f"there is no {mount.path!r} to mount at {mount.target}",
                    exit_status=1,
                )
        yield HostMount(mount.target, os.path.join(view, os.fsdecode(inside)), mount.read_only)
    finally:
        shop.overlays.unmount(view)
        os.rmdir(view)


def _process(work: RunWork, lower: Stack, mounts: tuple[HostMount, ...], network: Isolated | None) -> Process:
    who = process_identity(work.user, lower)
    env = work.env
    if all(name != "HOME" for name, _ in env):
        env = (*env, ("HOME", who.home))
    return Process(
        argv=work.argv,
        env=env,
        cwd=work.cwd,
        uid=who.uid,
        gid=who.gid,
        groups=who.groups,
        hostname=work.hostname,
        mounts=mounts,
        network=network or "host",
        clock=work.clock if work.frozen else None,
        architecture=work.architecture,
    )


def _failed(work: RunWork, ended: Ended) -> BuildError:
    command = " ".join(work.argv)
    if len(command) > 200:
        command = command[:197] + "..."
    hint = "126: it is not executable; 127: it was not found" if ended.status in (126, 127) else ""
    return BuildError(
        "run-failed",
        f"the process {command!r} ended with exit status {ended.status}",
        hint=hint,
        exit_status=1,
    )
