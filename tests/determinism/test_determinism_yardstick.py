"""The example image, twice: the same, accepted by other tools, and the tree that its steps saw."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildtool.digest import parse_digest
from buildtool.store import Store, chain_id
from tests.support.determinism_diff import blob, image_difference
from tests.support.determinism_tree import (
    FIND,
    of_find,
    of_folder,
    of_snapshots,
    tree_difference,
    without_contents,
)
from tests.support.determinism_worlds import FAKETIME, ROOT, clock

pytestmark = pytest.mark.network

NAME = "yardstick:1"
#: Where the sandbox mounts something of its own over the image's file.
_COVERED = (b"etc/hosts", b"etc/resolv.conf", b"proc", b"sys", b"dev")


class Yardstick:
    """The example built twice in `folder`; `first` and `second` are layouts, `digests` of their manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = folder / "first"
        self.second = folder / "second"
        self.store = folder / "store"

    def buildtool(self, *arguments: str, **more: object) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "BUILDTOOL_STORE": str(self.store), "PYTHONPATH": str(ROOT)}
        options: dict[str, object] = {"cwd": self.folder / "app", "env": environment, "capture_output": True}
        command = [sys.executable, "-m", "buildtool", *arguments]
        return subprocess.run(command, timeout=900, **(options | more))  # type: ignore[call-overload, no-any-return]

    def build(self, layout: Path) -> None:
        output = f"type=oci,dest={layout},tar=false"
        more = ("--no-cache", "--progress", "plain", "-t", NAME, "-o", output)
        done = self.buildtool("build", ":app", *more, "--iidfile", str(layout) + ".iid")
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    @property
    def digests(self) -> tuple[str, str]:
        first, second = (Path(str(p) + ".iid").read_text().strip() for p in (self.first, self.second))
        return first, second


@pytest.fixture(scope="session")
def yardstick(shared: Path) -> Yardstick:
    from tests.determinism.conftest import alone

    folder = shared / "yardstick"
    made = Yardstick(folder)
    with alone(shared / "yardstick.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(ROOT / "examples" / "python-app", folder / "app")
            made.build(made.first)
            made.build(made.second)
            (folder / "done").touch()
    return made


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
def test_it_builds_from_a_bundle_without_any_network_later(yardstick: Yardstick) -> None:
    done = yardstick.buildtool("lock", "bundle", "../bundle", ":app")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    elsewhere = yardstick.folder / "elsewhere"
    environment = {**os.environ, "BUILDTOOL_STORE": str(elsewhere), "PYTHONPATH": str(ROOT), **clock("+400d")}
    command = [
        "build",
        ":app",
        "--offline",
        "--no-cache",
        "--bundle",
        "../bundle",
        "--iidfile",
        "../later.iid",
    ]
    unplugged = ["unshare", "--net", sys.executable, "-m", "buildtool", *command, "--iidfile", "../later.iid"]
    done = subprocess.run(unplugged, cwd=yardstick.folder / "app", env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert (yardstick.folder / "later.iid").read_text() == yardstick.digests[0]
    shutil.rmtree(elsewhere)


def test_two_builds_without_cache_are_the_same_image(yardstick: Yardstick) -> None:
    first, second = yardstick.digests
    told = image_difference(yardstick.first, first, yardstick.second, second)
    assert not told, "\n".join(told)
    assert first == second


def test_other_tools_and_our_own_check_accept_the_image(yardstick: Yardstick) -> None:
    for layout in (yardstick.first, yardstick.second):
        done = yardstick.buildtool("validate", f"oci:{layout}")
        assert done.returncode == 0, done.stdout + done.stderr
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    tag = NAME.partition(":")[2]
    inspected = subprocess.run(
        ["skopeo", "inspect", f"oci:{yardstick.first}:{tag}"], capture_output=True, text=True
    )
    assert inspected.returncode == 0, inspected.stderr
    seen = json.loads(inspected.stdout)
    assert seen["Digest"] == yardstick.digests[0]
    manifest = json.loads(blob(yardstick.first, yardstick.digests[0]))
    assert seen["Layers"] == [layer["digest"] for layer in manifest["layers"]]


@pytest.mark.root
def test_unpacked_by_umoci_it_is_the_tree_that_the_steps_saw(yardstick: Yardstick, tmp_path: Path) -> None:
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    if os.geteuid() != 0:
        pytest.skip("owners are only seen by root")
    bundle = yardstick.folder / "bundle"
    tag = NAME.partition(":")[2]
    command = ["umoci", "unpack", "--image", f"{yardstick.first}:{tag}", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    unpacked = of_folder(bundle / "rootfs")
    shutil.rmtree(bundle)
    assert len(unpacked) > 5_000

    # This makes the snapshots of the layers on top too, which no step needed.
    find = yardstick.buildtool("run", NAME, "find", "/", "-xdev", "-printf", FIND)
    assert find.returncode == 0, find.stderr
    kernel = {path: row for path, row in of_find(find.stdout).items() if path not in _COVERED}
    other = {path: row for path, row in without_contents(unpacked).items() if path not in _COVERED}
    assert not (told := tree_difference(kernel, other)), "\n".join(told[:50])

    snapshots = of_snapshots(_snapshots(yardstick))
    assert not (told := tree_difference(snapshots, unpacked)), "\n".join(told[:50])


def _snapshots(yardstick: Yardstick) -> list[str]:
    """The folders of the image's snapshots, topmost first."""
    manifest = json.loads(blob(yardstick.first, yardstick.digests[0]))
    config = json.loads(blob(yardstick.first, manifest["config"]["digest"]))
    found: list[str] = []
    chain = None
    with Store.open(str(yardstick.store)) as store:
        for diff_id in config["rootfs"]["diff_ids"]:
            chain = chain_id(chain, parse_digest(diff_id))
            path = store.snapshots.path(chain)
            assert path is not None, f"the snapshot of {diff_id} is not there"
            found.insert(0, path)
    return found


def test_python_uses_the_bytecode_that_the_image_carries(yardstick: Yardstick) -> None:
    done = yardstick.buildtool("run", NAME, "python3", "-v", "-c", "import json")
    assert done.returncode == 0, done.stderr
    said = (done.stdout + done.stderr).decode()
    loaded = re.findall(r"# code object from '?([^'\n]*)'?$", said, re.MULTILINE)
    assert any(path.endswith("/json/__pycache__/__init__.cpython-311.pyc") for path in loaded), said
    assert [path for path in loaded if not path.endswith(".pyc")] == []
    assert not re.search(r"^# (could not create|wrote) ", said, re.MULTILINE)


def test_the_application_runs(yardstick: Yardstick) -> None:
    done = yardstick.buildtool("run", NAME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the digests are of linux/amd64")
def test_the_example_gives_the_digests_that_stand_beside_it(
    yardstick: Yardstick, request: pytest.FixtureRequest
) -> None:
    seen = ""
    for target in (":app", ":small"):
        done = yardstick.buildtool("build", "--locked", "--progress", "quiet", target)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        seen += f"{target} {done.stdout.decode()}"
    beside = ROOT / "examples" / "python-app" / "digests.txt"
    if request.config.getoption("--accept"):
        beside.write_text(seen)
    assert seen == beside.read_text()
