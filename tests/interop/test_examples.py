"""Every example is built from its lock, tested, and the services answer a request."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for all examples: they share their packages."""
    folder = tmp_path_factory.mktemp("examples")
    yield folder / "store"
    shutil.rmtree(folder, ignore_errors=True)


def buildtool(store: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "buildtool", *arguments],
        cwd=folder,
        env={**os.environ, "BUILDTOOL_STORE": str(store)},
        capture_output=True,
        text=True,
        timeout=900,
    )


def copied(name: str, to: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / name, to / name))


@pytest.mark.parametrize("name", ["rules", "python-service", "node-service"])
def test_example(name: str, store: Path, tmp_path: Path) -> None:
    folder = copied(name, tmp_path)
    rows = (folder / "digests.txt").read_text().splitlines()
    for label, digest in (row.split() for row in rows):
        done = buildtool(store, folder, "build", "-q", "--locked", "--platform", "linux/amd64", label)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == digest
    done = buildtool(store, folder, "test", "--locked", "//...")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_repository_builds_its_own_image(store: Path, tmp_path: Path) -> None:
    root = EXAMPLES.parent
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("BUILD.star", "buildtool.toml", "buildtool.lock", "pyproject.toml", "LICENSE"):
        shutil.copy(root / name, folder)
    for name in ("buildtool", "rules"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = buildtool(store, folder, "test", "--locked", "//...")
    assert done.returncode == 0, done.stdout + done.stderr
    program = (
        "import deflate, starlark, zstandard, blake3\n"
        "from buildtool.sandbox import clock\n"
        "clock.library('amd64', 5)\n"
    )
    done = buildtool(store, folder, "run", "--entrypoint", "/opt/venv/bin/python", "//:image", "-c", program)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "port", "said"),
    [
        ("python-service", 8000, rb'{"text":"hello, world","length":12}'),
        ("node-service", 8001, rb'"hello, world"'),
    ],
)
def test_service_answers(name: str, port: int, said: bytes, store: Path, tmp_path: Path) -> None:
    folder = copied(name, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "buildtool", "run", "-p", f":{port}", ":service"],
        cwd=folder,
        env={**os.environ, "BUILDTOOL_STORE": str(store)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        answer = _answer(f"http://{_address(process)}/hello/world", process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert re.search(re.escape(said), answer)
    # There is no shell to fall back to.
    done = buildtool(store, folder, "run", "--entrypoint", "/bin/sh", ":service", "-c", "true")
    assert done.returncode != 0


def _address(process: "subprocess.Popen[bytes]") -> str:
    """Where the published port is reached, by what is said before the service starts."""
    assert process.stdout is not None
    said = b""
    for row in process.stdout:
        said += row
        if found := re.fullmatch(rb"(127\.0\.0\.1:\d+) leads to port \d+\n", row):
            return found[1].decode()
    raise AssertionError(f"no port: {said.decode()[-2000:]}")


def _answer(url: str, process: "subprocess.Popen[bytes]") -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        try:
            with direct.open(url, timeout=5) as response:
                return bytes(response.read())
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise AssertionError(f"no answer: {process.communicate()[0].decode()[-2000:]}")
