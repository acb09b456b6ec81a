"""The builders that are compared: ours, and buildah where Debian's package is installed.

Each keeps all that it keeps in one folder, so that a fresh folder is a cold cache.
Ours puts compressed layers into its store as it builds; buildah keeps them
uncompressed, so that for the same result its images are pushed to an OCI layout too.
"""

import os
import shutil
import sys
from typing import Protocol

from benchmarks.measure import Cost, cost_of


class Builder(Protocol):
    """Builds the Dockerfile of a context."""

    name: str

    def build(self, context: str, state: str) -> Cost:
        """Build; `state` is the builder's own folder, whose content is its cache."""


class Ours:
    """This checkout's `buildtool build`, as a process of its own."""

    name = "buildtool"

    def build(self, context: str, state: str) -> Cost:
        os.makedirs(state, exist_ok=True)
        env = _environment(state) | {"BUILDTOOL_STORE": f"{state}/store"}
        argv = [sys.executable, "-m", "buildtool", "build", "--progress=quiet", "-t", "bench", context]
        return cost_of(argv, env, f"{state}/log")


class Buildah:
    """`buildah build` with a layer for each instruction, and `buildah push` to a layout."""

    name = "buildah"

    def __init__(self, program: str) -> None:
        self._program = program

    def build(self, context: str, state: str) -> Cost:
        os.makedirs(state, exist_ok=True)
        driver = "overlay" if os.geteuid() == 0 else "vfs"
        common = [
            self._program,
            f"--root={state}/root",
            f"--runroot={state}/run",
            f"--storage-driver={driver}",
        ]
        build = ["build", "--quiet", "--layers", "--isolation=chroot", "--tag=bench", context]
        push = ["push", "--quiet", "bench", f"oci:{state}/layout:bench"]
        env = _environment(state)
        built = cost_of([*common, *build], env, f"{state}/log")
        return built.then(cost_of([*common, *push], env, f"{state}/log"))


def buildah() -> Buildah | None:
    """Buildah, if it is on this machine."""
    program = shutil.which("buildah")
    return Buildah(program) if program else None


def _environment(state: str) -> dict[str, str]:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": state, "TMPDIR": state, "PYTHONPATH": root}
