"""Container engines of this machine: images are handed to them as an archive on their standard input."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from buildtool.diag import BuildError, suggestion
from buildtool.store import Blobs

if TYPE_CHECKING:
    from buildtool.oci.export import Export

_MOST_WORDS = 4096


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that takes an archive of `docker save` on its standard input."""

    name: str
    command: tuple[str, ...]

    def is_there(self) -> bool:
        """Whether the program is on this machine."""
        return shutil.which(self.command[0]) is not None


ENGINES = {
    "docker": Engine("docker", ("docker", "load")),
    "podman": Engine("podman", ("podman", "load")),
    "containerd": Engine("containerd", ("ctr", "images", "import", "-")),
}


def engine(name: str) -> Engine:
    """The engine called `name`; BuildError `unknown-engine`, or `no-engine` if it is not on this machine."""
    found = ENGINES.get(name)
    if found is None:
        hint = suggestion(name, ENGINES) or f"engines are {', '.join(ENGINES)}"
        raise BuildError("unknown-engine", f"{name!r} is not an engine that is known", hint=hint)
    if not found.is_there():
        raise BuildError("no-engine", f"{found.command[0]} is not on this machine", exit_status=1)
    return found


def any_engine() -> Engine:
    """The first engine that is on this machine; BuildError `no-engine`."""
    for found in ENGINES.values():
        if found.is_there():
            return found
    raise BuildError(
        "no-engine",
        "neither docker, podman nor ctr is on this machine to load the image into",
        hint="the store has it all the same: buildtool run NAME, or buildtool save NAME",
        exit_status=1,
    )


def feed(into: Engine, exports: "Sequence[Export]", blobs: Blobs) -> None:
    """Hand images over; BuildError `load-failed` with what the engine said."""
    import subprocess
    import tempfile

    from buildtool.oci.archive import write_archive

    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(into.command, stdin=subprocess.PIPE, stdout=said, stderr=said)
        assert process.stdin is not None
        try:
            write_archive(cast(BinaryIO, process.stdin), exports, blobs, docker=True)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has given up: its status and its words say why
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
        if status:
            said.seek(max(0, os.fstat(said.fileno()).st_size - _MOST_WORDS))
            raise BuildError(
                "load-failed",
                f"{' '.join(into.command)} ended with exit status {status}",
                output=said.read().decode("utf-8", "replace").strip(),
                exit_status=1,
            )
