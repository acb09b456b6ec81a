"""Formatting: goldens by concept, meaning and comments kept, and what is formatted stays as it is.

The goldens but `ours` are what buildifier makes of the same inputs: tests/interop asks it.
"""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.frontends.starlark.formatting.format import formatted
from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.parse import parsed
from buildtool.frontends.starlark.syntax.tokens import Lexer
from tests.conftest import GOLDEN, ROOT

CASES = sorted((GOLDEN / "starlark" / "formatting").glob("*.in"))


def name_of(case: Path) -> str:
    return "BUILD.star" if ".build" in case.suffixes else "lib.star"


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.stem)
def test_goldens(case: Path, golden: Callable[[str, str], None]) -> None:
    golden(f"starlark/formatting/{case.stem}.out", formatted(case.read_bytes(), name_of(case)))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.stem)
def test_what_is_formatted_stays_and_means_the_same(case: Path) -> None:
    stays_and_means_the_same(case.read_text(), name_of(case))


def stays_and_means_the_same(text: str, name: str) -> None:
    once = formatted(text.encode(), name)
    assert formatted(once.encode(), name) == once
    assert meaning(once, name) == meaning(text, name)
    lost = Counter(comments(text, name)) - Counter(comments(once, name))
    assert not lost


# ---------------------------------------------------------------- what a text means


def meaning(text: str, name: str) -> object:
    """The tree without places, layout and comments, and without the order that fmt may choose."""
    tree, _ = parsed(text.encode(), name)
    loads = {(n.local, load.module.token, n.remote.token) for load in loads_of(tree) for n in load.names}
    rest = [plain(node) for node in tree.body if not isinstance(node, t.Load | t.Block)]
    return sorted((a, m.strip("'\""), r.strip("'\"")) for a, m, r in loads), rest


def loads_of(tree: t.File) -> Iterator[t.Load]:
    return (node for node in tree.body if isinstance(node, t.Load))


def plain(node: object) -> object:
    if isinstance(node, t.Paren):
        return plain(node.inner)
    if isinstance(node, t.Text):
        return ("text", text_of(node.token))
    if isinstance(node, t.Call):
        named = [a for a in node.args if isinstance(a, t.Assign)]
        others = [a for a in node.args if not isinstance(a, t.Assign)]
        keys = sorted((repr(plain(a)) for a in named), key=str)
        return ("call", plain(node.function), [plain(a) for a in others], keys)
    if (
        isinstance(node, t.Brackets)
        and node.kind == "list"
        and any(isinstance(i, t.Text) for i in node.items)
    ):
        return ("texts", sorted({repr(plain(i)) for i in node.items}))
    if isinstance(node, list):
        return [plain(n) for n in node if not isinstance(n, t.Block)]
    if not isinstance(node, t.Node):
        return node if isinstance(node, str | bool) else None
    left_out = {"start", "end", "before", "beside", "after", "broken", "close", "forced"}
    fields = [f for f in type(node).__dataclass_fields__ if f not in left_out]
    return (type(node).__name__, [plain(getattr(node, f)) for f in fields])


def text_of(token: str) -> str:
    """The value of a literal text, a label shortened and a docstring without indentation."""
    import ast

    value = str(ast.literal_eval(token.lstrip("f")))
    parts = value.partition(":")
    if value.startswith("//") and parts[0].rpartition("/")[2] == parts[2]:
        return parts[0]
    return "\n".join(row.strip() for row in value.split("\n"))


def comments(text: str, name: str) -> list[str]:
    lexer = Lexer(name, text)
    between = [token.text for token in lexer.tokens() if token.kind == "comment"]
    return [c for c in [*between, *(c.text for c in lexer.comments)] if c]


# ---------------------------------------------------------------- any text

NAMES = st.sampled_from(("a", "b", "srcs", "name", "image", "native.image", "glob", "x.y"))
ATOMS = st.one_of(
    NAMES, st.sampled_from(('"t"', "'t'", '"//a:a"', "1", "0x1F", "'\"'", '":b"', "f(x)", "None"))
)
SPACE = st.sampled_from(("", " ", "\n  ", "  # note\n", "\n# above\n", "\n\n# apart\n  "))


def _bracketed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(SPACE, inner), max_size=4)
    joined = items.map(lambda rows: ",".join(space + item for space, item in rows))
    keys = st.lists(st.tuples(SPACE, st.sampled_from("zyxw"), inner), max_size=3, unique_by=lambda r: r[1])
    named = keys.map(lambda rows: ",".join(f"{s}{k} = {v}" for s, k, v in rows))
    return st.one_of(
        st.tuples(joined, SPACE).map(lambda p: f"[{p[0]}{p[1]}]"),
        st.tuples(joined, SPACE).map(lambda p: f"f({p[0]}{p[1]})"),
        st.tuples(named, SPACE).map(lambda p: f"image({p[0]}{p[1]})"),
        st.tuples(SPACE, inner, SPACE).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        st.tuples(inner, st.sampled_from("+-*%"), inner).map(lambda p: f"({p[0]} {p[1]}\n {p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} if {p[1]} else not {p[0]})"),
        st.tuples(SPACE, inner).map(lambda p: f"{{{p[0]}1: {p[1]}}}"),
        st.tuples(inner, SPACE).map(lambda p: f"[{p[0]} for x in y{p[1]}]"),
    )


EXPRESSIONS = st.recursive(ATOMS, _bracketed, max_leaves=12)
LINES = st.one_of(
    EXPRESSIONS,
    EXPRESSIONS.map(lambda e: f"X = {e}"),
    EXPRESSIONS.map(lambda e: f"def f(a, b = 1):\n  {e}\n  # under\n\n  return a # r\n # out"),
    EXPRESSIONS.map(lambda e: f"if {e}:\n  pass\n  # c\nelse:\n  x = {e}"),
    st.sampled_from(("", "# alone", "load(':b.star', 'x')", 'load("//a:c.star", "z", q = "w") # l')),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=5), st.sampled_from(("BUILD.star", "lib.star")))
def test_any_text_is_formatted_once(rows: list[str], name: str) -> None:
    stays_and_means_the_same("\n".join(rows) + "\n", name)


# ---------------------------------------------------------------- this repository, and errors


def test_all_files_of_this_repository_are_formatted() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.star"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    refused = [f"tests/golden/starlark/errors/{case}/BUILD.star" for case in ("chain", "nesting", "syntax")]
    wrong = []
    for file in sorted(set(listed.stdout.split()) - set(refused)):
        data = (ROOT / file).read_bytes()
        if formatted(data, file) != data.decode():
            wrong.append(file)
    assert not wrong, "buildtool fmt formats them"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("x = [1,\n", 2, 1, "the line ends where an expression is expected"),
        ("x = )\n", 1, 5, "')' closes no bracket"),
        ("def f(:\n  pass\n", 1, 7, "':' stands where a name is expected"),
        ("if x:\ny\n", 2, 1, "'y' stands where an indented block is expected"),
        ("if x:\n    y\n  z\n", 3, 3, "this line is indented like no block that is open"),
        ("x = 'a' 'b'\n", 1, 9, "two texts stand side by side: put + between them"),
        ("x = ?\n", 1, 5, "'?' is unexpected here"),
        ("x = 'a\n", 1, 5, '"\'" is unexpected here'),
        ("x y\n", 1, 3, "'y' stands where the end of the line is expected"),
    ],
)
def test_errors_have_a_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        formatted(text.encode(), "BUILD.star")
    assert caught.value.code == "starlark-syntax"
    assert caught.value.message == message
    span = caught.value.span
    assert span is not None
    assert (span.line, span.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 190 + "]" * 190, None),
        ("x = " + "+".join(["a"] * 900), None),
        ("x = " + "not " * 150 + "a", None),
        ("".join(f"{'elif' if n else 'if'} x{n}:\n  y\n" for n in range(900)), None),
        ("[" * 300 + "]" * 300, "starlark-too-deep"),
        ("x" * (1 << 20) + "y", "starlark-too-big"),
        ("\xff", "starlark-not-text"),
    ],
)
def test_the_deepest_texts_are_formatted_and_deeper_ones_refused(text: str, code: str | None) -> None:
    data = text.encode("latin-1")
    if code is None:
        once = formatted(data, "lib.star")
        assert formatted(once.encode(), "lib.star") == once
        return
    with pytest.raises(BuildError) as caught:
        formatted(data, "lib.star")
    assert caught.value.code == code
