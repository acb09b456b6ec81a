"""The wheel: what it must carry, and that it works without a checkout around it."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("buildtool", "rules", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy, so that nothing is compiled under the feet of other tests."""
    folder = tmp_path_factory.mktemp("packaging")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / "tree" / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "tree" / part)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "out")],
        cwd=folder / "tree",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = (folder / "out").iterdir()
    return found


def test_it_carries_rules_and_the_clock(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for rule in (ROOT / "rules").rglob("*.star"):
        assert f"buildtool/_rules/{rule.relative_to(ROOT / 'rules')}" in names
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    assert f"buildtool/sandbox/clock/clock-{machine}.so" in names
    for needed in ("py.typed", "frontends/dockerfile/dockerfile.lark", "frontends/starlark/prelude.star"):
        assert f"buildtool/{needed}" in names
    assert not [n for n in names if n.startswith(("tests/", "tools/", "examples/"))]


def test_it_works_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import buildtool; from buildtool.frontends.starlark.workspace import rules_folder;"
        "print(buildtool.__file__); print(rules_folder())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    package, rules = done.stdout.split()
    assert package == str(tmp_path / "site/buildtool/__init__.py")
    assert rules == str(tmp_path / "site/buildtool/_rules")
