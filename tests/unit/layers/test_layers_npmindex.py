"""The index of npm's cache, put in order."""

import hashlib

import pytest

from buildtool.layers.npmindex import settled
from tests.support.cacache import entry

ONE, TWO, LATER = entry("a", 1), entry("b", 1), entry("a", 2, "sha512-BB==")


def _line(text: bytes) -> bytes:
    return b"\n" + hashlib.sha1(text, usedforsecurity=False).hexdigest().encode() + b"\t" + text


def test_an_entry_that_raced_with_itself_stands_there_once():
    assert settled(ONE + ONE) == ONE


def test_entries_of_one_instant_have_one_order():
    assert settled(ONE + TWO) == settled(TWO + ONE)


def test_the_newest_entry_of_a_key_stays_the_last():
    assert settled(LATER + TWO + ONE) in (ONE + TWO + LATER, TWO + ONE + LATER)


@pytest.mark.parametrize(
    "bucket",
    [
        b"",
        b"\n",
        b"text",
        ONE[1:],
        ONE + b"\nhalf a li",
        ONE.replace(b"sha512", b"sha513"),
        ONE + entry("a", 1, None),
        entry("a", "now"),
        entry("a", True),
        _line(b"[]"),
        _line(b"{"),
        _line(b"[" * 100_000),
    ],
)
def test_what_is_no_such_index_or_undoes_entries_is_left_alone(bucket):
    assert settled(bucket) is None
