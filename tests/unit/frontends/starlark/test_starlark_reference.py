"""docs/rules is what the docstrings say; write it with `pytest --accept`."""

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
