"""An image of a registry is run, and exported, by its name alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCKERFILE = 'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\nCMD ["echo", "its own"]\n'


def test_an_image_of_a_registry(registry: str, tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    context = tmp_path / "context"
    context.mkdir()
    shutil.copy(busybox, context / "busybox")
    (context / "Dockerfile").write_text(DOCKERFILE)

    def buildtool(store: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "buildtool", *arguments],
            env={**os.environ, "BUILDTOOL_STORE": str(tmp_path / store)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    name = f"{registry}/team/box:1"
    buildtool("one", "build", "-q", "--push", "-t", name, "context")
    assert buildtool("two", "run", f"docker://{name}") == "its own\n"
    assert buildtool("two", "run", f"docker://{name}", "echo", "another") == "another\n"
    buildtool("two", "export", "-o", "files", f"docker://{name}")
    assert (tmp_path / "files/bin/busybox").read_bytes() == Path(busybox).read_bytes()
