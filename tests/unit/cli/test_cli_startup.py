"""Start-up time is a feature: modules that a path does not need are not imported on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

#: What costs tens of milliseconds, or stands for something that a no-op build does not do.
SLOW = {
    "asyncio",
    "concurrent.futures",
    "cryptography",
    "deflate",
    "email",
    "http.client",
    "importlib.metadata",
    "lark",
    "multiprocessing",
    "rich",
    "socket",
    "ssl",
    "starlark",
    "subprocess",
    "tomllib",
    "unittest",
    "urllib3",
    "zstandard",
}


def _imported(*arguments: str, store: Path) -> set[str]:
    """The modules that a run of the command imports, by `python -X importtime`."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "buildtool", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "BUILDTOOL_STORE": str(store), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [row for row in done.stderr.splitlines() if row.startswith("import time:")]
    return {row.rpartition("|")[2].strip() for row in rows}


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("build", "--help")])
def test_words_alone_import_next_to_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    imported = _imported(*arguments, store=tmp_path)
    assert not imported & (SLOW | {"sqlite3", "msgspec"})
    if arguments[0] != "build":
        assert not {m for m in imported if m.startswith(("buildtool.executor", "buildtool.store"))}


def test_a_build_without_work_imports_no_machinery(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (context / "file").write_text("text")
    _imported("build", "-t", "app", str(context), store=tmp_path / "store")
    imported = _imported("build", "-t", "app", str(context), store=tmp_path / "store")
    assert not imported & SLOW
    assert "buildtool.frontends.dockerfile.lint.commands" not in imported, "notes are for who asks for them"
