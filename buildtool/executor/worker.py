"""The worker: carries out specs, inside the namespaces that it was started in.

`python -m buildtool.executor.worker SPEC` reads one spec (JSON) from a file and
prints its outcome; the store is `$BUILDTOOL_STORE`.  With `--serve STORE RUNTIME`
it reads requests from its standard input until that ends.
"""

import gc
import os
import sys
import threading
import traceback
from typing import BinaryIO

import msgspec

from buildtool.diag import BuildError, render
from buildtool.executor.pool import receive, send
from buildtool.executor.work import (
    CompressWork,
    Event,
    FileWork,
    FlattenWork,
    LaunchWork,
    Outcome,
    Request,
    RunWork,
    SnapshotWork,
    Spec,
    failure_of,
)
from buildtool.executor.workshop import Observer, Workshop
from buildtool.sandbox import namespaces
from buildtool.store import Store
from buildtool.store.collect import sweep


def carry_out(spec: Spec, shop: Workshop, observer: Observer) -> Outcome:
    """The outcome of one spec."""
    if isinstance(spec, RunWork):
        from buildtool.executor.steps import run

        return run.carry_out(spec, shop, observer)
    if isinstance(spec, LaunchWork):
        from buildtool.executor.steps import run

        return run.launch(spec, shop, observer)
    if isinstance(spec, FileWork):
        from buildtool.executor.steps import files

        return files.carry_out(spec, shop, observer)
    if isinstance(spec, CompressWork):
        from buildtool.executor.steps import compress

        return compress.carry_out(spec, shop, observer)
    if isinstance(spec, FlattenWork):
        from buildtool.executor.steps import flatten

        return flatten.carry_out(spec, shop, observer)
    if isinstance(spec, SnapshotWork):
        shop.snapshots(spec.chain, observer)
        return Outcome()
    raise TypeError(type(spec).__name__)


class _Remote(Observer):
    """Tells the parent what happens to one request."""

    def __init__(self, number: int, out: BinaryIO, lock: threading.Lock, cancel: threading.Event) -> None:
        super().__init__(cancel)
        self.number = number
        self.out = out
        self.lock = lock

    def output(self, data: bytes) -> None:
        self.tell(Event(self.number, output=data))

    def advanced(self, phase: str, done: int, total: int | None) -> None:
        self.tell(Event(self.number, advanced=(phase, done, total)))

    def tell(self, event: Event) -> None:
        with self.lock:
            try:
                send(self.out, event)
            except BrokenPipeError:
                self.cancel.set()


def serve(source: BinaryIO, out: BinaryIO, shop: Workshop) -> None:
    """Carry out requests side by side until there are no more; then stop those under way."""
    lock, cancel = threading.Lock(), threading.Event()
    decoder = msgspec.msgpack.Decoder(Request)
    threads: list[threading.Thread] = []
    while (data := receive(source)) is not None:
        request = decoder.decode(data)
        remote = _Remote(request.number, out, lock, cancel)
        thread = threading.Thread(target=_answer, args=(request, shop, remote))
        thread.start()
        threads = [t for t in threads if t.is_alive()] + [thread]
    cancel.set()
    for thread in threads:
        thread.join()


def _answer(request: Request, shop: Workshop, remote: _Remote) -> None:
    try:
        event = Event(request.number, outcome=carry_out(request.spec, shop, remote))
    except BuildError as e:
        event = Event(request.number, failure=failure_of(e))
    except BaseException:
        event = Event(request.number, crash=traceback.format_exc())
    remote.tell(event)


class _Terminal(Observer):
    def output(self, data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def main(argv: list[str]) -> int:
    """Serve, or carry out the one spec that is named."""
    # Steps make entries by the ten thousand and hardly a cycle: looking for cycles at the
    # usual rate takes a tenth of the time of a large copy.
    gc.set_threshold(50_000, 20, 100)
    if argv[0] == "--serve":
        namespaces.prepare_worker()
        out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        with Store.open(argv[1]) as store:
            serve(sys.stdin.buffer, out, Workshop(store, argv[2] or None))
            # Only here, inside the namespaces, may what a dead rootless build left be removed.
            sweep(store)
        return 0
    if not namespaces.is_isolated():
        inside = [sys.executable, "-m", "buildtool.executor.worker", argv[0]]
        return namespaces.spawn(inside, env=os.environ).wait()
    namespaces.prepare_worker()
    with open(argv[0], "rb") as f:
        spec: Spec = msgspec.json.decode(f.read(), type=Spec)
    try:
        with Store.open() as store:
            outcome = carry_out(spec, Workshop(store, None), _Terminal(threading.Event()))
    except BuildError as e:
        sys.stderr.write(render(e) + "\n")
        return e.exit_status
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
