"""Recordings of steps while a build asks for them."""

from dataclasses import replace

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange, RunPins, run_pins
from buildtool.lock.model import FilePin, Lock
from buildtool.lock.resolve import Pins


class Nothing:
    """A resolver that is not needed."""


def _pins(lock: Lock, **options: object) -> Pins:
    return Pins(lock, Nothing(), **options)  # type: ignore[arg-type]


def _got(place: str, body: bytes = b"") -> Exchange:
    return Exchange("GET", f"https://example.org/{place}", 200, len(body), sha256(body))


def _run(step: str, *exchanges: Exchange, clock: int = 7) -> RunPins:
    return run_pins(step * 64, clock, exchanges)


ONE, TWO = _run("a", _got("1")), _run("b", _got("2"))
LOCK = Lock(clock=7, runs={"app 1": ONE, "app 2": TWO})


def test_the_first_recording_brings_the_clock() -> None:
    pins = _pins(Lock())
    pins.record("app 1", ONE)
    assert pins.lock == Lock(clock=7, runs={"app 1": ONE})
    assert pins.recording("a" * 64) == ONE
    assert pins.recording("b" * 64) is None


def test_a_changed_step_takes_the_place_and_asks_for_less() -> None:
    pins = _pins(LOCK)
    changed = _run("c", _got("1"), _got("3"))
    assert pins.known("app 1") == (_got("1"), _got("2"))
    pins.record("app 1", changed)
    assert pins.lock.runs == {"app 1": changed, "app 2": TWO}


def test_of_two_answers_the_steps_own_counts() -> None:
    own, other = _got("1", b"own"), _got("1", b"other")
    pins = _pins(Lock(runs={"app 1": _run("a", other), "app 2": _run("b", own)}))
    assert pins.known("app 2") == (own,)
    assert pins.known("app 1") == pins.known("app 3") == (other,)


def test_what_is_recorded_anew_does_not_know_the_old_answers() -> None:
    pins = _pins(LOCK, anew=frozenset({"app 1", "app 3"}))
    assert pins.known("app 1") == ()
    assert pins.known("app 2") == (_got("2"), _got("1"))
    pins.record("app 1", _run("c", _got("4")))
    assert pins.known("app 3") == (_got("4"),)


def test_steps_that_change_their_names_keep_their_recordings() -> None:
    pins = _pins(LOCK)
    new = _run("c")
    pins.record("app 1", new)
    assert pins.recording("a" * 64) == ONE
    pins.record("app 2", ONE)
    pins.record("app 3", TWO)
    assert pins.lock.runs == {"app 1": new, "app 2": ONE, "app 3": TWO}


def test_two_steps_of_one_name() -> None:
    pins = _pins(Lock())
    for _ in range(2):
        pins.record("app 1", ONE)
        pins.record("app 1", TWO)
    assert pins.lock.runs == {"app 1": ONE, "app 1 #2": TWO}


def test_a_locked_lock_takes_what_it_has() -> None:
    pins = _pins(LOCK, locked=True, flag="--offline")
    pins.record("app 1", ONE)
    pins.record("renamed 1", TWO)
    assert not pins.changed
    for place, message in (("app 1", "app 1 is another step"), ("new 1", "new 1 uses the network")):
        with pytest.raises(BuildError) as raised:
            pins.may_record(place)
        assert raised.value.code == "lock-outdated"
        assert message in raised.value.message
        assert "--offline" in raised.value.hint
        with pytest.raises(BuildError):
            pins.record(place, _run("c"))


def test_what_nothing_asked_for_is_pruned() -> None:
    file = FilePin(sha256(b""), 1)
    pins = _pins(replace(LOCK, files={"https://example.org/a": file, "https://example.org/b": file}))
    pins.record("app 2", TWO)
    pins.file("https://example.org/b")
    assert pins.pruned() == Lock(clock=7, files={"https://example.org/b": file}, runs={"app 2": TWO})
