"""Launching: the process of a finished image, run in the sandbox to try the image."""

import threading
from collections.abc import Callable

from buildtool.diag import BuildError
from buildtool.executor.pool import WorkerCrash, WorkerProcess
from buildtool.executor.work import AttendWork, ChainTree, Event, LaunchWork, LayerRef, RunWork
from buildtool.graph.model import ImageConfig, Platform
from buildtool.store import Store

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def launch(
    store: Store,
    layers: tuple[LayerRef, ...],
    config: ImageConfig,
    platform: Platform,
    argv: tuple[str, ...],
    on_output: Callable[[bytes], None],
    *,
    runtime: str | None = None,
    network: str = "host",
    timeout: float | None = None,
) -> int:
    """Run `argv`, or what the config says, over layers that are in the store; the exit status.

    The process sees the machine's clock and, unless `network` is `none`, its network, as a
    container would.  BuildError `timed-out` after `timeout` seconds.
    """
    process = process_of(layers, config, platform, argv, network)

    def observe(event: Event) -> None:
        if event.output is not None:
            on_output(event.output)

    worker = WorkerProcess(store.path, runtime)
    clock = _Stopwatch(worker, timeout)
    try:
        return worker.carry_out(LaunchWork(process), observe).status
    except (WorkerCrash, BuildError):
        if clock.expired:
            raise BuildError("timed-out", f"the command did not end within {timeout:g} seconds") from None
        raise
    finally:
        clock.stop()
        worker.close()


def attend(
    store: Store,
    process: RunWork,
    attend: AttendWork,
    on_start: Callable[[], None],
    *,
    runtime: str | None = None,
) -> int:
    """Run a process that a person attends; its exit status.

    The descriptors in `attend` are ours, and go to the worker; `on_start` is called when it has them.
    """
    lent = (*attend.streams, *(fd for fd, _ in attend.ports))
    worker = WorkerProcess(store.path, runtime, lent)
    try:
        on_start()
        return worker.carry_out(LaunchWork(process, attend), lambda event: None).status
    finally:
        worker.close()


def process_of(
    layers: tuple[LayerRef, ...], config: ImageConfig, platform: Platform, argv: tuple[str, ...], network: str
) -> RunWork:
    """The process that `argv`, or what the config says, means over these layers."""
    env = {"PATH": _PATH, **dict(config.env)}
    return RunWork(
        base=ChainTree(layers),
        argv=argv_of(config, argv),
        env=tuple(env.items()),
        cwd=config.working_dir or "/",
        user=config.user,
        clock=0,
        frozen=False,
        network=network,
        hostname="buildtool",
        mounts=(),
        finishers=(),
        architecture=platform.architecture,
        compression=None,
    )


class _Stopwatch:
    """Ends a worker when its time is over."""

    def __init__(self, worker: WorkerProcess, seconds: float | None) -> None:
        self.expired = False
        self._worker = worker
        self._timer = threading.Timer(seconds, self._end) if seconds is not None else None
        if self._timer is not None:
            self._timer.start()

    def stop(self) -> None:
        """The worker is done."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self.expired = True
        self._worker.close()


def argv_of(config: ImageConfig, argv: tuple[str, ...]) -> tuple[str, ...]:
    """ENTRYPOINT and the arguments, which take the place of CMD, as `docker run` has it."""
    whole = (*(config.entrypoint or ()), *(argv or config.cmd or ()))
    if not whole:
        raise BuildError(
            "nothing-to-run",
            "the image has neither an entrypoint nor a command",
            hint="name the command to run behind the image",
        )
    return whole
