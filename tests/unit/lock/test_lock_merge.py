"""Locks that two builds changed at once."""

from dataclasses import replace

import pytest

from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange, run_pins
from buildtool.lock.merge import merged
from buildtool.lock.model import FilePin, Lock

ONE, TWO, THREE = (FilePin(sha256(text), 1) for text in (b"1", b"2", b"3"))


@pytest.mark.parametrize(
    ("before", "ours", "theirs", "both", "whole"),
    [
        ({}, {"a": ONE}, {}, {"a": ONE}, True),
        ({}, {"a": ONE}, {"b": TWO}, {"a": ONE, "b": TWO}, True),
        ({}, {"a": ONE}, {"a": ONE}, {"a": ONE}, True),
        ({}, {"a": ONE}, {"a": TWO}, {"a": TWO}, False),
        ({"a": ONE}, {"a": TWO}, {"a": ONE}, {"a": TWO}, True),
        ({"a": ONE}, {"a": TWO}, {"a": THREE}, {"a": THREE}, False),
        ({"a": ONE}, {"a": TWO}, {}, {}, False),
        ({"a": ONE}, {}, {"a": ONE, "b": TWO}, {"b": TWO}, True),
        ({"a": ONE}, {}, {"a": TWO}, {"a": TWO}, False),
        ({"a": ONE}, {"a": ONE}, {"a": TWO}, {"a": TWO}, True),
        ({"a": ONE}, {"a": ONE}, {}, {}, True),
    ],
)
def test_pins(
    before: dict[str, FilePin],
    ours: dict[str, FilePin],
    theirs: dict[str, FilePin],
    both: dict[str, FilePin],
    whole: bool,
) -> None:
    assert merged(Lock(files=before), Lock(files=ours), Lock(files=theirs)) == (Lock(files=both), whole)


def test_the_first_clock_stays_and_recordings_have_their_own() -> None:
    answer = Exchange("GET", "https://example.org/", 200, 0, sha256(b""))
    ours = Lock(clock=5, runs={"app 1": run_pins("a" * 64, 5, (answer,))})
    theirs = Lock(clock=3, runs={"web 1": run_pins("b" * 64, 3, ())})
    both, whole = merged(Lock(), ours, theirs)
    assert whole
    assert both == replace(theirs, runs={**ours.runs, **theirs.runs})
    assert merged(Lock(), ours, Lock()) == (ours, True)
