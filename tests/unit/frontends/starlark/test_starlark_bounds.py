import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.frontends.starlark.bounds import MAX_BYTES, MAX_CHAIN, MAX_NESTING, check, decode
from buildtool.frontends.starlark.marks import marked


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\ny = " + "[" * 300 + "]" * 300, 2),
        ("x = " + "(\n" * 300, MAX_NESTING),
        ("x = 1" + " + 1" * 2000, 1),
        ("x = " + "not " * 2000 + "1", 1),
        ("x = a" + ".b" * 2000, 1),
        ("x = a" + "()" * 2000, 1),
        ("x = " + "1 if a else " * 2000 + "2", 1),
        ("x = " + "lambda: " * 2000 + "2", 1),
        ("def f():\n    if a:\n        pass\n" + "    elif b:\n        pass\n" * 2000, 4 + 2 * MAX_CHAIN),
        ('s = """\n\n"""\n' + " " * 300 + "x = 1", 4),
    ],
)
def test_nesting_is_bounded(text: str, line: int) -> None:
    with pytest.raises(BuildError) as raised:
        check(text, "f.star")
    assert raised.value.code == "starlark-too-deep"
    assert raised.value.span is not None
    assert raised.value.span.line == line


@pytest.mark.parametrize(
    "text",
    [
        "x = [" + "1 + 2, " * 5000 + "]",
        "x = 1\n" * 5000,
        'x = "' + "(" * 5000 + '"',
        "# " + "[" * 5000,
        'x = """' + "((((\n" * 5000 + '"""',
        "x = {" + '"a": b.c(1), ' * 5000 + "}",
        "f(a, b)\n" * 5000,
    ],
)
def test_what_people_write_is_within_bounds(text: str) -> None:
    check(text, "f.star")


def test_size_and_encoding() -> None:
    assert decode("\ufeffx = 'é'".encode(), "f.star") == "x = 'é'"
    for data, code in ((b"x" * (MAX_BYTES + 1), "starlark-too-big"), (b"a\nb\xff", "starlark-not-text")):
        with pytest.raises(BuildError) as raised:
            decode(data, "f.star")
        assert raised.value.code == code


@given(st.text(alphabet="ab(){}[]'\"\\\n #,.=+ifnotrb", max_size=200))
def test_any_text_is_checked_without_trouble(text: str) -> None:
    check(text, "f.star")
    assert marked(text).replace("_at(", "").count("\n") == text.count("\n")


def test_marks_stand_before_simple_statements() -> None:
    text = 'load("x", "y")\nx = (1,\n  2)\ndef f():\n    """doc"""\n    return x\nif_ = 1\n'
    expected = (
        'load("x", "y")\n_at(2);x = (1,\n  2)\ndef f():\n    """doc"""\n    _at(6);return x\n_at(7);if_ = 1\n'
    )
    assert marked(text) == expected
