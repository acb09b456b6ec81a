"""Run carried out: a process over an overlay of the base, and the layer that its upper directory is.

In order: mount the base's snapshots below an empty upper directory, run the
process, unmount, finish (mend what is known to differ from build to build, set
times), write the layer, and make the upper directory the layer's snapshot.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.executor.steps.mounts import Seen, mounted
from buildtool.executor.steps.owners import process_identity
from buildtool.executor.steps.reach import reached
from buildtool.executor.steps.roots import overlaid, prepare_upper
from buildtool.executor.work import AttendWork, LaunchWork, Outcome, RunWork, chain_ids
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.changes import changes
from buildtool.layers.entry import display
from buildtool.layers.finish import FinishSpec, Mended, finish
from buildtool.layers.tree import Stack
from buildtool.sandbox.bundle import HostMount, Process
from buildtool.sandbox.netns import Isolated
from buildtool.sandbox.run import Ended
from buildtool.store import chain_id

_MOST_ROWS = 4


def carry_out(work: RunWork, shop: Workshop, observer: Observer) -> Outcome:
    """The layer that the process makes; BuildError `run-failed` if it fails."""
    lowers = shop.snapshots(work.base, observer)
    with ExitStack() as held:
        lower = held.enter_context(Stack(lowers, shop.xattr_prefix))
        staged = held.enter_context(shop.store.snapshots.stage())
        begun_ns = prepare_upper(staged.fs, lower)
        reach = held.enter_context(reached(work, lower, shop))
        root = held.enter_context(overlaid(shop, [*reach.lowers, *lowers], staged))
        recording = work.internet is not None and not work.internet.strict
        seen = reach.seen(held.enter_context(mounted(work.mounts, shop, observer, recording=recording)))
        process = _process(work, lower, seen, reach.namespace)

        def start(stop: Callable[[], bool] | None) -> Ended:
            return shop.sandbox.run(process, root, observer.output, observer.cancel, stop=stop)

        ran = reach.run(start, shop)
        if ran is None:
            return Outcome(reached_out=True)
        ended = ran.ended
        if ended.status != 0:
            raise _failed(work, ended, ran.refused)
        shop.overlays.unmount(root)
        reach.clean(staged.fs, lower, shop)
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
    return msgspec.structs.replace(outcome, mended=mended, exchanges=ran.exchanges)


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
        prepare_upper(staged.fs, lower)
        root = held.enter_context(overlaid(shop, lowers, staged))
        network = _network(process.network)
        if network is not None:
            held.enter_context(network)
        prepared = _process(process, lower, Seen(), network)
        if work.attend is not None:
            return Outcome(status=_attended(prepared, work.attend, root, shop))
        ended = shop.sandbox.run(prepared, root, observer.output, observer.cancel)
    return Outcome(status=1 if ended.status is None else ended.status)


def _network(kind: str) -> Isolated | None:
    """The network of a process that is launched; None for the machine's."""
    if kind == "slirp4netns":
        from buildtool.sandbox.connected import Connected

        return Connected()
    return Isolated() if kind != "host" else None


def _attended(process: Process, work: AttendWork, root: str, shop: Workshop) -> int:
    """The exit status of a process that a person attends."""
    import socket

    from buildtool.sandbox.attended import Streams
    from buildtool.sandbox.ports import Forwarder

    volumes = tuple(HostMount(v.target, v.source, v.read_only) for v in work.volumes)
    process = replace(
        process, mounts=volumes, terminal=work.terminal, read_only=work.read_only, randomised=True
    )
    with ExitStack() as held:
        if isinstance(process.network, Isolated):
            ports = [(socket.socket(fileno=fd), port) for fd, port in work.ports]
            held.enter_context(Forwarder(process.network, ports))
        return shop.sandbox.attend(process, root, Streams(*work.streams))


def _process(work: RunWork, lower: Stack, seen: Seen, network: Isolated | None) -> Process:
    who = process_identity(work.user, lower)
    env = tuple({**dict(work.env), **dict(seen.env)}.items()) if seen.env else work.env
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
        mounts=seen.mounts,
        network=network or "host",
        clock=work.clock if work.frozen else None,
        architecture=work.architecture,
        insecure=work.insecure,
    )


def _failed(work: RunWork, ended: Ended, refused: str) -> BuildError:
    command = " ".join(work.argv)
    if len(command) > 200:
        command = command[:197] + "..."
    hint = "126: it is not executable; 127: it was not found" if ended.status in (126, 127) else refused
    return BuildError(
        "run-failed",
        f"the process {command!r} ended with exit status {ended.status}",
        hint=hint,
        exit_status=1,
    )
