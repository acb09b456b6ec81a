"""The oracle: Dockerfiles with the result that real BuildKit gave, built here and compared.

The cases stand beside the repository; all of them pass.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.oracle import restored

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT.parent / "shared" / "oracle"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle's cases are not beside the repository"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the cases make owners and device nodes"),
]


def names() -> list[str]:
    return sorted(p.parent.name for p in ORACLE.glob("cases/*/case.toml"))


@pytest.fixture(scope="session")
def check(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The oracle's checker, in a copy of the cases that has the links which a checkout may lose."""
    folder = restored(ORACLE, tmp_path_factory.mktemp("oracle") / "oracle")
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("oracle_check", folder / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle-store")


@pytest.mark.parametrize("name", names())
def test_case(name: str, check: ModuleType, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDTOOL_STORE", str(store))
    opts = argparse.Namespace(
        tool=[sys.executable, "-m", "buildtool"], timeout=120, no_cache=False, no_lines=False, verbose=True
    )
    _, problem, _ = check.one(name, opts)
    assert problem is None, problem
