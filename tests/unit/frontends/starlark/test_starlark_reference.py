"""docs/rules is what the docstrings say; write it with `pytest --accept`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.frontends.starlark.reference import functions, markdown

ROOT = Path(__file__).parents[4]
RULES = ROOT / "rules"
PRELUDE = ROOT / "buildtool" / "frontends" / "starlark" / "prelude.star"


@pytest.mark.parametrize("name", sorted(p.name for p in RULES.glob("*.star")))
def test_page_of_rules_is_current(name: str, golden: Callable[[str, str], None]) -> None:
    page = markdown(f"@rules//{name}", (RULES / name).read_text())
    golden(f"../../docs/rules/{name.removesuffix('.star')}.md", page)


def test_page_of_primitives_is_current(golden: Callable[[str, str], None]) -> None:
    golden("../../docs/rules/primitives.md", markdown("Primitives", PRELUDE.read_text()))


def test_an_undocumented_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="f: the docstring documents"):
        functions('def f(a, b):\n    """Does.\n\n    Args:\n      a: it\n    """\n')


def test_every_rule_has_an_example() -> None:
    """A rule is called in a BUILD.star that CI builds; `git` in a test that has a repository to serve."""
    built = [*ROOT.glob("examples/*/BUILD.star"), ROOT / "BUILD.star", ROOT / "tests/interop/test_twins.py"]
    text = "\n".join(path.read_text() for path in built)
    shipped = {path.name for path in RULES.glob("*.star")}
    loaded = re.findall(r'load\("@rules//([\w.]+)", ([^)]*)\)', text)
    called = {(file, name) for file, names in loaded for name in re.findall(r'"(\w+)"', names)}
    assert {file for file, _ in called} | {"suites.star"} == shipped
    wanted = [
        *(
            "image",
            "index",
            "layer",
            "dockerfile",
            "fetch",
            "archive",
            "git",
            "debian_root",
            "debian_packages",
        ),
        *("python_app", "node_app", "static_binary", "users", "ca_certificates", "push", "image_test", "run"),
    ]
    assert sorted(set(wanted) - {name for _, name in called}) == []
