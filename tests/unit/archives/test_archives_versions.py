"""Debian's version order and relations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.archives.debversion import satisfies, version_key
from buildtool.archives.relations import parse_relations, spelled
from buildtool.diag import BuildError

#: Pairs in ascending order, among them those of dpkg's own documentation.
ASCENDING = [
    ("1.0~~", "1.0~~a"),
    ("1.0~~a", "1.0~"),
    ("1.0~", "1.0"),
    ("1.0", "1.0a"),
    ("1.0", "1.0+b1"),
    ("1.0a", "1.0+b1"),
    ("1.0-1", "1.0-1+b1"),
    ("1.0-1~deb12u1", "1.0-1"),
    ("1.9", "1.10"),
    ("1.2.3", "1.2.3.1"),
    ("9:1", "10:0"),
    ("2", "1:1"),
    ("1.0-9", "1.0-10"),
    ("1.0", "1.0-1"),
    ("1-1-1", "1-1-2"),
    ("2.36-9+deb12u9", "2.36-9+deb12u10"),
    ("1.0Z", "1.0a"),
    ("1.0z", "1.0."),
    ("0.5.12-2", "0.5.12-2ubuntu1"),
    ("20230311", "20230311+deb12u1"),
]
EQUAL = [("1.0", "0:1.0"), ("1.0", "1.00"), ("1.0", "1.0-0"), ("1.", "1.0"), ("1.02", "1.2")]


@pytest.mark.parametrize(("low", "high"), ASCENDING)
def test_ascending(low: str, high: str) -> None:
    assert version_key(low) < version_key(high)
    assert satisfies(low, "<<", high)
    assert satisfies(high, ">=", low)
    assert not satisfies(low, ">>", high)


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_equal(one: str, two: str) -> None:
    assert version_key(one) == version_key(two)
    assert satisfies(one, "=", two)
    assert not satisfies(one, "<<", two)


VERSIONS = st.from_regex(r"([0-9]{1,2}:)?[0-9][0-9a-zA-Z.+~]{0,8}(-[0-9a-z+~.]{1,4})?", fullmatch=True)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_total(a: str, b: str, c: str) -> None:
    one, two, three = sorted((a, b, c), key=version_key)
    assert version_key(one) <= version_key(two) <= version_key(three)
    assert satisfies(a, "<=", b) or satisfies(b, "<=", a)


@given(VERSIONS)
def test_a_tilde_sorts_before_the_end(version: str) -> None:
    assert version_key(version + "~") < version_key(version) < version_key(version + "+1")


def test_relations() -> None:
    clauses = parse_relations("libc6 (>= 2.36), awk | mawk:any,\n perl-base(<<5.40) , foo (< 2)")
    assert [spelled(c) for c in clauses] == [
        "libc6 (>= 2.36)",
        "awk | mawk",
        "perl-base (<< 5.40)",
        "foo (<= 2)",
    ]
    assert parse_relations("") == ()


@pytest.mark.parametrize("text", ["foo (~ 1)", "foo | ", "Foo", "foo (= )", "a b"])
def test_bad_relations(text: str) -> None:
    with pytest.raises(BuildError, match="names no package"):
        parse_relations(text)
