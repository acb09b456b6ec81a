"""A `verify` that is told to end, or killed: nothing of it stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")
pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="busybox-static is not installed")


class Verifying:
    """`buildtool verify` of a build whose step takes a while, with its folders in `place`."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "place"
        self.place.mkdir()
        self.state = folder / "state"
        context = folder / "context"
        context.mkdir()
        shutil.copy(BUSYBOX or "", context / "busybox")
        #: So that the processes of this test are told from those of others.
        self.mark = f"{time.time_ns()}"
        script = json.dumps(["/busybox", "sh", "-c", f": {self.mark}; busybox sleep 3; busybox true"])
        rows = ("FROM scratch", "COPY busybox /busybox", "ENV PATH=/", f"RUN {script}")
        (context / "Dockerfile").write_text("\n".join(rows))
        self.context = context
        self.env = {
            **os.environ,
            "TMPDIR": str(self.place),
            "XDG_STATE_HOME": str(self.state),
            "BUILDTOOL_STORE": str(folder / "store"),
        }

    def start(self, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "buildtool", "verify", *options, "."],
            cwd=self.context, env=self.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def await_step(self, build: int) -> None:
        """Wait until the step runs in a build, the first being 1."""
        self._until(lambda: any(self.place.glob(f"*/{build}")) and self.running())

    def await_end(self) -> None:
        self._until(lambda: not self.running())

    def running(self) -> bool:
        wanted = f"/busybox\0sh\0-c\0: {self.mark}".encode()
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if command.read_bytes().startswith(wanted):
                    return True
        return False

    def left(self) -> list[str]:
        mounted = [row.split()[4] for row in Path("/proc/self/mountinfo").read_text().splitlines()]
        below = [point for point in mounted if point.startswith(f"{self.place}/")]
        return [*below, *(str(path) for path in self.place.iterdir())]

    @staticmethod
    def _until(holds: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_end_it_leaves_nothing(number: signal.Signals, status: int, tmp_path: Path) -> None:
    verifying = Verifying(tmp_path)
    process = verifying.start("--perturb", "order,filesystem")
    verifying.await_step(2)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in said
    assert not verifying.state.exists(), "this is no error of ours"
    assert verifying.left() == []
    verifying.await_end()


def test_killed_it_leaves_a_folder_that_the_next_one_sweeps(tmp_path: Path) -> None:
    verifying = Verifying(tmp_path)
    process = verifying.start("--perturb", "order")
    verifying.await_step(2)
    process.kill()
    process.communicate(timeout=60)
    assert verifying.left()
    # The build ends with whom it was for, and gives the folder free.
    verifying.await_end()
    for _ in range(20):
        prune = (sys.executable, "-m", "buildtool", "prune")
        subprocess.run(prune, env=verifying.env, check=True, timeout=60)
        if not verifying.left():
            return
        time.sleep(0.5)
    assert verifying.left() == []
