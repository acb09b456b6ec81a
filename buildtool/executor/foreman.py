"""The foreman: has the build's one worker process carry specs out, and passes on what it says meanwhile."""

import threading
from collections import deque

from buildtool.diag import BuildError
from buildtool.executor.emulation import runs_here
from buildtool.executor.plan import Node
from buildtool.executor.pool import WorkerProcess
from buildtool.executor.progress import Progress
from buildtool.executor.work import Event, LayerMissing, Outcome, Spec
from buildtool.graph.model import Platform, Run

_TAIL_BYTES = 32 << 10
_TAIL_ROWS = 30


class Foreman:
    """Starts the worker when there is something to do.  Used from many threads.

    `path` is the store's, `runtime` the OCI runtime if it is not to be chosen.
    """

    def __init__(self, path: str, runtime: str | None, progress: Progress) -> None:
        self._path = path
        self._runtime = runtime
        self._progress = progress
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._closed = False

    def close(self) -> None:
        """Stop what goes on; nothing is carried out any more."""
        with self._lock:
            self._closed = True
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def expect_work(self) -> None:
        """Let the worker start meanwhile."""

        def start() -> None:
            try:
                self._worker_process()
            except BuildError:
                pass  # whoever needs the worker hears why there is none

        threading.Thread(target=start, daemon=True).start()

    def carry_out(self, spec: Spec) -> Outcome:
        """The outcome of work that belongs to no step."""
        return self._worker_process().carry_out(spec, lambda event: None)

    def send(self, node: Node, spec: Spec) -> Outcome:
        """The outcome of a step's work, of which people see the output.

        BuildError, for a process with the end of its output; LayerMissing if a blob was not as it should be.
        """
        tail = _Tail()

        def observe(event: Event) -> None:
            if event.output is not None:
                tail.add(event.output)
                self._progress.output(node.info, event.output)
            elif event.advanced is not None:
                self._progress.advanced(node.info, *event.advanced)

        try:
            return self._worker_process().carry_out(spec, observe)
        except BuildError as e:
            if e.code in ("corrupt-blob", "missing-blob"):
                raise LayerMissing(e.message) from e
            step = node.step
            if isinstance(step, Run):
                e.output = tail.text()
            if isinstance(step, Run) and not runs_here(step.platform.architecture):
                raise _no_emulator(step.platform, e) from e
            raise

    def _worker_process(self) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise BuildError("cancelled", "the build was stopped", exit_status=1)
            if self._worker is None:
                self._worker = WorkerProcess(self._path, self._runtime)
            return self._worker


def _no_emulator(platform: Platform, error: BuildError) -> BuildError:
    """What is behind the failure of a process of another platform."""
    return BuildError(
        "no-emulator",
        f"this machine does not run processes for {platform}: {error.message}",
        hint="apt-get install qemu-user-static binfmt-support; or build on a machine of that platform",
        output=error.output,
        exit_status=1,
    )


class _Tail:
    """The end of a process's output: what a person needs to see of a failure."""

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.size = 0

    def add(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)
        while self.size - len(self.parts[0]) > _TAIL_BYTES:
            self.size -= len(self.parts.popleft())

    def text(self) -> str:
        rows = b"".join(self.parts).decode("utf-8", "replace").splitlines()
        return "\n".join(rows[-_TAIL_ROWS:])
