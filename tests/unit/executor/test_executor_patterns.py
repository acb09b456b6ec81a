"""Patterns of COPY sources behave as Go's filepath.Match does."""

import pytest

from buildtool.executor.patterns import has_wildcards, matches, split_wildcards

# From the table of cases in Go's path/filepath documentation and its behaviour on them.
CASES = [
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*", "ab/c", False),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "α", True),
    ("*[a-ζ]", "A", False),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[\\]a]", "]", True),
    ("[\\-]", "-", True),
    ("[x\\-]", "x", True),
    ("[\\-x]", "a", False),
    ("**", "a/b", False),
    ("**", "ab", True),
]
BAD = ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\"]


@pytest.mark.parametrize(("pattern", "path", "match"), CASES)
def test_match(pattern: str, path: str, match: bool) -> None:
    assert matches(pattern, path) is match


@pytest.mark.parametrize("pattern", BAD)
def test_a_bad_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"bracket|escape"):
        matches(pattern, "a")


def test_the_part_before_the_first_pattern() -> None:
    assert split_wildcards("src/lib/*.py") == ("src/lib", "*.py")
    assert split_wildcards("*/x") == ("", "*/x")
    assert split_wildcards("a/b") == ("a/b", "")
    assert split_wildcards("a/b[1]/c") == ("a", "b[1]/c")


def test_an_escaped_star_is_no_pattern() -> None:
    assert not has_wildcards("a\\*")
    assert has_wildcards("a\\\\*")
