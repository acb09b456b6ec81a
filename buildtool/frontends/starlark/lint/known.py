"""The names that every Starlark file has, and those that the shipped files offer."""

import re
from functools import cache
from pathlib import Path

from buildtool.frontends.starlark.workspace import rules_folder

_STARLARK = """
    None True False abs all any bool call_stack call_stack_frame chr dict dir enumerate fail filter float
    getattr hasattr hash int json len list map max min ord partial range repr reversed sorted str struct
    tuple type zip
"""
_NAMED = re.compile(r"^(?:def )?([a-z]\w*)(?:\(| = )", re.MULTILINE)


@cache
def known_names() -> frozenset[str]:
    """The primitives, and what the language brings along."""
    prelude = Path(__file__).parent.parent.joinpath("prelude.star").read_text(encoding="utf-8")
    return frozenset((*_STARLARK.split(), *_NAMED.findall(prelude)))


@cache
def shipped_rules() -> dict[str, str]:
    """The public functions of the shipped files, with the name that load() takes."""
    return {
        name: f"@rules//{path.name}"
        for path in sorted(Path(rules_folder()).glob("*.star"))
        for name in re.findall(r"^def ([a-z]\w*)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
