"""Variables: what the oracle does not reach, and that matching agrees with a plain regular expression."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.expand import BODY, MAX_DEPTH, Budget, Expander, Style

ENV = {"A": "one", "E": "", "P": "/a/b/c.tar.gz", "S": "a b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$A$A", "oneone"),
        ("${A}x$Ax", "onex"),
        ("$1x", "x"),
        ("a$", "a$"),
        ("${E:-${A:+deep}}", "deep"),
        ("${N-'}'}", "}"),
        ("'$A'\"$A\"", "$Aone"),
        (r"\$A \x", "$A x"),
        (r'"\$A \x"', r"$A \x"),
        ("${P##*/}", "c.tar.gz"),
        ("${P%%.*}", "/a/b/c"),
        ("${P%.*}", "/a/b/c.tar"),
        ("${P//\\//_}", "_a_b_c.tar.gz"),
        ("${P/b*g/X}", "/a/Xz"),
        ("${A//x/y}", "one"),
        ("${A#?}", "ne"),
        ("${P/[a]/x}", "/a/b/c.tar.gz"),
    ],
)
def test_word(text: str, expected: str) -> None:
    assert Expander().word(text, ENV) == expected


def test_backtick_escapes_where_the_directive_says_so() -> None:
    expander = Expander(Style(escape="`"))
    assert expander.word(r"c:\dir`$A `x", ENV) == r"c:\dir$A x"


def test_body_keeps_quotes() -> None:
    assert Expander(BODY).word("\"$A\" '$A' \\$A\n", ENV) == "\"one\" 'one' $A\n"


def test_words_split_at_spaces_that_are_not_quoted() -> None:
    assert Expander().words('$S "$S" c\\ d', ENV) == ["a", "b", "a b", "c d"]


def test_unset_names_are_collected() -> None:
    expander = Expander()
    expander.word("$A $B ${C:-$D}", ENV)
    assert expander.unset == {"B", "C", "D"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${}", "bad-substitution"),
        ("${A", "bad-substitution"),
        ("${A:-x", "bad-substitution"),
        ("${A:", "bad-substitution"),
        ("${A:#x}", "bad-substitution"),
        ("${A/x}", "bad-substitution"),
        ("${A#\\a}", "bad-substitution"),
        ("'open", "bad-substitution"),
        ('"open', "bad-substitution"),
        ("${N?gone}", "variable-required"),
        ("${E:?}", "variable-required"),
        ("${N:-" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1), "expansion-too-large"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        Expander().word(text, ENV)
    assert caught.value.code == code


def test_budget_ends_a_file_of_bombs() -> None:
    expander = Expander(budget=Budget(5_000_000))
    env = {"V": "x" * 1_000_000}
    for _ in range(5):
        expander.word("$V", env)
    with pytest.raises(BuildError, match="too much"):
        expander.word("$V", env)


def test_an_evil_pattern_is_cheap() -> None:
    text = "${V#" + "*a" * 50 + "b}"
    assert Expander().word(text, {"V": "a" * 100_000}) == "a" * 100_000


_patterns = st.text(alphabet="ab*?\n", max_size=6)
_values = st.text(alphabet="abc\n", max_size=10)


def _regex(pattern: str, star: str) -> str:
    return "".join({"*": star, "?": "."}.get(c) or re.escape(c) for c in pattern)


@given(_patterns, _values, st.sampled_from(["#", "##", "%", "%%"]))
def test_prefixes_and_suffixes_are_the_shortest_and_longest(pattern: str, value: str, operator: str) -> None:
    """Against every prefix or suffix, tried one by one."""
    sizes = range(len(value) + 1) if len(operator) == 1 else range(len(value), -1, -1)
    expected = value
    for size in sizes:
        piece = value[:size] if operator[0] == "#" else value[len(value) - size :]
        if re.fullmatch(_regex(pattern, ".*"), piece):
            expected = value[size:] if operator[0] == "#" else value[: len(value) - size]
            break
    assert Expander().word(f"${{V{operator}{pattern}}}", {"V": value}) == expected


@given(_patterns.filter(bool), _values)
def test_replacement_agrees_with_a_regular_expression(pattern: str, value: str) -> None:
    expected = re.sub(_regex(pattern, ".*"), "-", value, count=1)
    assert Expander().word(f"${{V/{pattern}/-}}", {"V": value}) == expected


@given(_patterns, _values)
def test_replacing_all_agrees_with_what_go_does(pattern: str, value: str) -> None:
    """Go leaves out an empty match right behind another one, Python does not."""
    found = [m.span() for m in re.finditer(_regex(pattern, ".*"), value)]
    ends = {end for start, end in found if end > start}
    out, done = "", 0
    for start, end in found:
        if end > start or start not in ends:
            out, done = f"{out}{value[done:start]}-", end
    assert Expander().word(f"${{V//{pattern}/-}}", {"V": value}) == out + value[done:]


@given(st.text(alphabet="$A{}:-+?#%/'\"\\ab <", max_size=30))
def test_any_text_expands_or_is_refused(text: str) -> None:
    codes = []
    try:
        Expander().words(text, ENV)
    except BuildError as error:
        codes.append(error.code)
    assert not {*codes} - {"bad-substitution", "variable-required", "expansion-too-large"}
