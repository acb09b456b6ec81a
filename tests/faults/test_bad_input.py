"""What a person sees when something is wrong: located or actionable, status 1 or 2, never a traceback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[str, str], None]

BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")
needs_base = pytest.mark.skipif(BUSYBOX is None, reason="busybox-static is not installed")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="prepares the machine as root")


class Desk:
    """A folder with a build in it, and a store."""

    def __init__(self, path: Path) -> None:
        self.path = path / "work"
        self.path.mkdir()
        self.store = path / "store"

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self, *args: str, under: tuple[str, ...] = (), **env: str) -> tuple[int, str]:
        command = [*under, sys.executable, "-m", "buildtool", "build", "--progress", "plain", *args]
        environment = {**os.environ, "BUILDTOOL_STORE": str(self.store), **env}
        done = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True, timeout=120
        )
        return done.returncode, self._plain(done.stderr)

    def _plain(self, text: str) -> str:
        """The text without what differs from run to run."""
        text = text.replace(str(self.path), "WORK").replace(str(self.store), "STORE")
        text = re.sub(r"\b[0-9a-f]{64}\b", "HEX", text)
        return re.sub(r"\b\d+\.\d+s?\b", "TIME", text)

    def base(self) -> str:
        """A layout with busybox in it; the reference to it."""
        assert BUSYBOX is not None
        (self.path / "base").mkdir()
        shutil.copy(BUSYBOX, self.path / "base" / "busybox")
        self.write("base/Dockerfile", "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n")
        out = self.path / "layout"
        status, text = self.build("-t", "base:1", "-o", f"type=oci,dest={out},tar=false", "base")
        assert status == 0, text
        return f"base=oci-layout://{out}:1"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def check(golden: Golden, name: str, seen: tuple[int, str]) -> None:
    status, text = seen
    assert status in (1, 2)
    assert "Traceback" not in text
    golden(f"bad-input/{name}.txt", f"exit status {status}\n{text}")


def test_unknown_instruction(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM scratch\n\nCPOY . /app\n")
    check(golden, "unknown-instruction", desk.build("."))


def test_missing_copy_source(desk: Desk, golden: Golden) -> None:
    desk.write("app.py", "")
    desk.write("Dockerfile", "FROM scratch\nCOPY ap.py /app/\n")
    check(golden, "missing-copy-source", desk.build("."))


def test_bad_flag(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM scratch\nCOPY --chwon=1 a /\n")
    check(golden, "bad-flag", desk.build("."))


def test_cycle_of_stages(desk: Desk, golden: Golden) -> None:
    desk.write(
        "Dockerfile",
        "FROM scratch AS one\nCOPY --from=two /a /a\nFROM scratch AS two\nCOPY --from=one /a /a\n",
    )
    check(golden, "cycle-of-stages", desk.build("."))


@needs_base
def test_failing_run(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM base\nRUN echo before; \\\n    echo oh no >&2; exit 3\n")
    check(golden, "failing-run", desk.build("--build-context", desk.base(), "."))


@needs_base
def test_program_that_is_not_there(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", 'FROM base\nRUN ["/bin/nothing", "here"]\n')
    check(golden, "no-such-program", desk.build("--build-context", desk.base(), "."))


@needs_base
def test_user_that_is_not_there(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM base\nUSER nemo\nRUN true\n")
    check(golden, "no-such-user", desk.build("--build-context", desk.base(), "."))


def test_unknown_label(desk: Desk, golden: Golden) -> None:
    desk.write("BUILD.star", 'load("@rules//image.star", "image")\nimage(name = "app")\n')
    check(golden, "unknown-label", desk.build("//:apq"))


def test_starlark_error_three_loads_deep(desk: Desk, golden: Golden) -> None:
    desk.write("buildtool.toml", "")
    desk.write("BUILD.star", 'load("//a:a.star", "a")\n\na(name = "app")\n')
    desk.write("a/BUILD.star", "")
    desk.write("b/BUILD.star", "")
    desk.write("c/BUILD.star", "")
    desk.write("a/a.star", 'load("//b:b.star", "b")\n\ndef a(name):\n    b(name)\n')
    desk.write("b/b.star", 'load("//c:c.star", "c")\n\ndef b(name):\n    c(name, [])\n')
    desk.write("c/c.star", "def c(name, values):\n    return values[3]\n")
    check(golden, "three-loads-deep", desk.build("//:app"))


@needs_base
def test_corrupt_base_layer(desk: Desk, golden: Golden) -> None:
    reference = desk.base()
    blobs = desk.path / "layout" / "blobs" / "sha256"
    index = json.loads((desk.path / "layout" / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    layer = blobs / manifest["layers"][0]["digest"][7:]
    data = bytearray(layer.read_bytes())
    data[len(data) // 2] ^= 1
    layer.chmod(0o644)
    layer.write_bytes(data)
    shutil.rmtree(desk.store)
    desk.write("Dockerfile", "FROM base\nRUN true\n")
    check(golden, "corrupt-base-layer", desk.build("--build-context", reference, "."))


@needs_base
def test_no_oci_runtime(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM base\nRUN true\n")
    reference = desk.base()
    check(
        golden,
        "no-oci-runtime",
        desk.build("--build-context", reference, ".", BUILDTOOL_RUNTIME="crun-that-is-not-there"),
    )


@needs_base
@as_root
@pytest.mark.root
def test_root_without_the_right_to_make_namespaces(desk: Desk, golden: Golden) -> None:
    desk.write("Dockerfile", "FROM base\nRUN true\n")
    reference = desk.base()
    without = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    check(golden, "no-namespaces", desk.build("--build-context", reference, ".", under=without))


@needs_base
@as_root
@pytest.mark.root
def test_ordinary_user_without_subordinate_ids(desk: Desk, golden: Golden, tmp_path: Path) -> None:
    desk.write("Dockerfile", "FROM base\nRUN true\n")
    reference = desk.base()
    if not os.access(sys.executable, os.X_OK) or Path.cwd().is_relative_to("/root"):
        pytest.skip("the checkout is out of an ordinary user's sight")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    desk.store = tmp_path / "theirs"
    desk.store.mkdir()
    os.chown(desk.store, 65534, 65534)
    os.chown(desk.path, 65534, 65534)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    check(golden, "no-subordinate-ids", desk.build("--build-context", reference, ".", under=nobody))
