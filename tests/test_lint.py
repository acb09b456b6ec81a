"""Linters, types, import contracts and the house rules, run as tests."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for p in (ROOT / "buildtool").rglob("*.py"))

#: Names that say nothing about what is inside.
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
LONGEST_MODULE = 450
LONGEST_FUNCTION = 60


def _passes(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command[2:])}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_finds_nothing() -> None:
    _passes(sys.executable, "-m", "ruff", "check", "--quiet", ".")


def test_code_is_formatted() -> None:
    _passes(sys.executable, "-m", "ruff", "format", "--check", "--quiet", "--diff", ".")


def test_types_hold() -> None:
    _passes(sys.executable, "-m", "mypy", "--no-error-summary")


def test_rooms_import_downwards_only() -> None:
    _passes(
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
        "--no-logo",
        "--no-cache",
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert path.stem not in VAGUE, "the name says nothing about what is inside"
    assert ast.get_docstring(tree), "a module opens with one sentence that says what it is"
    assert len(text.splitlines()) <= LONGEST_MODULE, "this is more than one concept: split it"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def test_lock_files_name_no_index_and_hash_everything() -> None:
    for path in sorted(ROOT.glob("requirements*.txt")):
        text = path.read_text()
        assert "://" not in text, path.name
        assert "--index-url" not in text, path.name
        blocks = [b for b in text.replace("\\\n", " ").splitlines() if b and not b.startswith("#")]
        assert blocks, path.name
        for block in blocks:
            assert "--hash=sha256:" in block, f"{path.name}: {block}"


def test_lock_files_agree_with_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "requirements.txt": project["project"]["dependencies"],
        "requirements-build.txt": project["build-system"]["requires"],
        "requirements-dev.txt": project["dependency-groups"]["dev"],
    }
    for name, requirements in wanted.items():
        pins = _pins(ROOT / name)
        for requirement in requirements:
            package = re.split(r"[\[>=]", requirement)[0].strip().lower()
            assert package in pins, f"{package} is missing in {name}: make requirements"
            if "==" in requirement:
                assert requirement == f"{package}=={pins[package]}", f"{name}: make requirements"


def _pins(path: Path) -> dict[str, str]:
    rows = [r.split()[0] for r in path.read_text().splitlines() if r[:1].isalpha()]
    return dict(r.split("==", 1) for r in rows)
