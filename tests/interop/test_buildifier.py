"""The formatter beside buildifier itself, as npm ships it: the same text from the same text."""

import base64
import hashlib
import io
import platform
import subprocess
import tarfile
import urllib.request
from pathlib import Path

import pytest

from buildtool.archives.mirrors import discover
from tests.conftest import GOLDEN, ROOT

VERSION = "8.2.1"
INTEGRITY = "eZ/Aq+2r4PcJa6LbPCT6ffgIJfTU/gYilqIzoX2OLM4nNkbQC6tTMPZNn7aHHjhGPxbNLv41zm4Xqt1olCLgXw=="
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@pytest.fixture(scope="module")
def buildifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = discover(None).places(f"npm:@bazel/buildifier/-/buildifier-{VERSION}.tgz")[0].url
    with urllib.request.urlopen(place, timeout=120) as answer:
        data = answer.read()
    assert base64.b64encode(hashlib.sha512(data).digest()).decode() == INTEGRITY
    path = tmp_path_factory.mktemp("buildifier") / "buildifier"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile(f"package/buildifier-linux_{MACHINES[platform.machine()]}")
        assert member is not None
        path.write_bytes(member.read())
    path.chmod(0o755)
    return path


def asked(buildifier: Path, text: bytes, kind: str) -> str:
    command = [str(buildifier), f"-type={kind}", "-lint=off"]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode()


@pytest.mark.network
def test_the_goldens_are_what_buildifier_makes(buildifier: Path) -> None:
    cases = sorted((GOLDEN / "starlark" / "formatting").glob("*.in"))
    for case in cases:
        if not case.stem.startswith("ours."):
            kind = "build" if ".build" in case.suffixes else "bzl"
            wanted = case.with_suffix(".out").read_text()
            assert asked(buildifier, case.read_bytes(), kind) == wanted, case.name


@pytest.mark.network
def test_buildifier_leaves_our_files_as_they_are(buildifier: Path) -> None:
    for path in [*ROOT.glob("rules/*.star"), *ROOT.glob("examples/*/BUILD.star"), ROOT / "BUILD.star"]:
        kind = "build" if path.name == "BUILD.star" else "bzl"
        assert asked(buildifier, path.read_bytes(), kind) == path.read_text(), path.name
