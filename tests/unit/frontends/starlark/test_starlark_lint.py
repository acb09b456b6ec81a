"""Rules on Starlark files: pages and examples, what is found, mended and turned off."""

from collections.abc import Callable
from pathlib import Path

import pytest
import starlark as sl

from buildtool.diag import render
from buildtool.frontends.starlark.evaluate import dialect, library
from buildtool.frontends.starlark.formatting.format import formatted
from buildtool.frontends.starlark.lint.check import check, mended
from buildtool.frontends.starlark.lint.known import _STARLARK
from buildtool.frontends.starlark.lint.pages import index, page
from buildtool.frontends.starlark.lint.registry import BY_NAME, RULES
from buildtool.frontends.starlark.lint.rule import Rule
from tests.conftest import ROOT

MANUAL = ROOT / "docs" / "manual" / "lint" / "starlark"

#: Names that buildifier gives to rules of the same meaning (its WARNINGS.md).
BUILDIFIER = """
    confusing-name constant-glob duplicated-name function-docstring function-docstring-args
    function-docstring-header list-append load load-on-top module-docstring no-effect out-of-order-load
    positional-args print redefined-variable return-value same-origin-load unreachable unused-variable
"""
OURS = "duplicate-key shadowed-builtin string-concatenation undefined-name"

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)


def name_of(rule: Rule) -> str:
    return "lib.star" if rule.library else "BUILD.star"


def good(rule: Rule) -> str:
    return formatted(rule.good.encode(), name_of(rule))


def names(text: str, file: str = "BUILD.star") -> list[str]:
    found = check(text.encode(), file)
    assert not found.errors
    return [f.rule.name for f in found.findings]


def messages(text: str, name: str, file: str = "BUILD.star") -> list[str]:
    return [f"{f.at.line}: {f.message}" for f in check(text.encode(), file).findings if f.rule.name == name]


def test_rules_are_called_as_buildifier_calls_them() -> None:
    assert sorted(BY_NAME) == sorted(f"{BUILDIFIER} {OURS}".split())
    assert len(BY_NAME) == len(RULES)


@every_rule
def test_the_bad_example_breaks_the_rule(rule: Rule, golden: Callable[[str, str], None]) -> None:
    found = check(rule.bad.encode(), name_of(rule))
    texts = [render(w) for w in found.warned() if w.code == rule.name]
    assert texts
    golden(f"starlark/lint/{rule.name}.txt", "\n\n".join(texts) + "\n")


@every_rule
def test_the_good_example_breaks_none_of_weight(rule: Rule) -> None:
    found = check(rule.good.encode(), name_of(rule))
    assert not found.errors
    assert rule.name not in [f.rule.name for f in found.findings]
    assert not [f.rule.name for f in found.findings if f.rule.severity == "warning"]
    assert mended(rule.good.encode(), name_of(rule)) == good(rule)


@every_rule
def test_mending_makes_the_good_example_of_the_bad_one(rule: Rule) -> None:
    once = mended(rule.bad.encode(), name_of(rule))
    assert (once == good(rule)) is (rule.mend is not None)
    assert mended(once.encode(), name_of(rule)) == once


@every_rule
def test_every_rule_has_a_page(rule: Rule, request: pytest.FixtureRequest) -> None:
    current(MANUAL / f"{rule.name}.md", page(rule), request)


def test_the_list_of_rules_is_current(request: pytest.FixtureRequest) -> None:
    head = "# Rules on Starlark files\n\nSee [Checks](../README.md).\n\n"
    current(MANUAL / "README.md", head + index(RULES), request)


def current(path: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--accept"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, "pytest --accept writes it"


def test_files_of_this_repository_break_no_rule() -> None:
    found = []
    for path in [*ROOT.glob("rules/*.star"), *ROOT.glob("examples/*/BUILD.star"), ROOT / "BUILD.star"]:
        found += check(path.read_bytes(), str(path.relative_to(ROOT))).warned()
    assert "\n".join(map(render, found)) == ""


@pytest.mark.parametrize("name", _STARLARK.split())
def test_names_of_the_language_are_there(name: str) -> None:
    sl.eval(sl.Module(), sl.parse("x", f"X = {name}\n", dialect()), library())


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("def f(a):\n  return b\n", ["2: b is not defined"]),
        ("def f(a):\n  return [a + b for b in a if b]\n", []),
        ("def f(a):\n  b = [c for c in a]\n  return c\n", ["3: c is not defined"]),
        ("def f():\n  return g()\ndef g():\n  return 1\n", []),
        ("X = [y for x in [1] for y in [x]]\n", []),
        ("X = [x for x in x]\n", ["1: x is not defined"]),
        ("F = lambda a, b = c: a + b\n", ["1: c is not defined"]),
        ("X = f'{y} {{z}}'\n", ["1: y is not defined"]),
        ("def f(a: int, *b: strng) -> str:\n  return a.missing(b = 1)\n", ["1: strng is not defined"]),
        ("image(name = 'x')\n", ["1: image is not defined"]),
        ("x[0] = 1\n", ["1: x is not defined"]),
        ("(A, [B]) = (1, [2])\nprint(A + B)\n", []),
        ("for I in [1]:\n  print(I)\n", []),
    ],
)
def test_undefined_names(text: str, wanted: list[str]) -> None:
    assert messages(text, "undefined-name", "lib.star") == wanted


def test_what_is_undefined_and_shipped_comes_with_the_line_to_add() -> None:
    (found,) = check(b"debian_root(name = 'x')\n", "BUILD.star").findings
    assert found.fix == 'add load("@rules//debian.star", "debian_root")'
    (found,) = check(b"X = glop(['x*'])\n", "BUILD.star").findings[-1:]
    assert [f.fix for f in check(b"glop(['x*'])\n", "BUILD.star").findings] == ["did you mean glob?"]


@pytest.mark.parametrize(
    ("file", "text", "wanted"),
    [
        ("lib.star", "def f():\n  a = 1\n  b = 2\n  return b\n", ["2: a is not used"]),
        ("lib.star", "def f():\n  _a, unused_b = 1, 2\n", []),
        ("lib.star", "def f(a):\n  for b in a:\n    pass\n", []),
        ("lib.star", "def f():\n  a = 1\n  a += 1\n", []),
        (
            "lib.star",
            "def _f():\n  pass\ndef g():\n  pass\n_X = 1\nY = 2\n",
            ["1: _f is not used", "5: _X is not used"],
        ),
        ("BUILD.star", "X = 1\nY = X\n", ["2: Y is not used"]),
        ("lib.star", "def f():\n  a = 1\n  def g():\n    return a\n  return g\n", []),
    ],
)
def test_unused_variables(file: str, text: str, wanted: list[str]) -> None:
    assert messages(text, "unused-variable", file) == wanted


# ---------------------------------------------------------------- ways through a function


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("if a:\n    return 1\n  else:\n    fail('x')", []),
        (
            "if a:\n    return 1\n  elif b:\n    return 2",
            ["1: f() returns a value on some ways, and none at its end"],
        ),
        ("for x in a:\n    return x\n  return None", []),
        ("if a:\n    return\n  return 1", ["3: f() returns a value elsewhere, and none here"]),
        ("if a:\n    return", []),
        ("def g():\n    return 1\n  g()", []),
    ],
)
def test_returned_values(body: str, wanted: list[str]) -> None:
    assert messages(f"def f(a, b):\n  {body}\n", "return-value", "lib.star") == wanted


def test_what_is_never_reached_is_told_once() -> None:
    text = "def f(a):\n  for x in a:\n    continue\n    a = 1\n    a = 2\n  fail('x')\n  # why\n  return 1\n"
    assert messages(text, "unreachable", "lib.star") == [
        "4: this statement is never reached",
        "8: this statement is never reached",
    ]


# ---------------------------------------------------------------- turned off, and mended


@pytest.mark.parametrize(
    "text",
    [
        'load(":a.star", "x")  # buildifier: disable=load\n',
        '# buildifier: disable=print, load\nload(":a.star", "x")\n',
        'load(\n    ":a.star",\n    # buildifier: disable=load\n    "x",\n)\n',
        'load(\n    ":a.star",\n    "x",  # why: buildifier: disable=load\n)\n',
    ],
)
def test_a_comment_turns_a_rule_off_for_its_statement(text: str) -> None:
    assert names(text) == []
    assert '"x"' in mended(text.encode(), "BUILD.star")
    other = text.replace("disable=load", "disable=other").replace("print, load", "print")
    assert names(other) == ["load"]


def test_mending_formats_as_well_and_keeps_comments() -> None:
    text = 'x = 1 # kept\nload(":b.star","b", "c")\nload(":a.star", "a")  # about a\nprint(x, c)\n'
    wanted = 'load(":a.star", "a")  # about a\nload(":b.star", "c")\n\nx = 1  # kept\n\nprint(x, c)\n'
    assert mended(text.encode(), "lib.star") == wanted


def test_a_file_that_cannot_be_read_is_one_error() -> None:
    found = check(b"x = [\n", "BUILD.star")
    assert [e.code for e in found.errors] == ["starlark-syntax"]
    assert not found.findings
