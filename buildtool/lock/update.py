"""Letting pins move: those that a pattern names are dropped, so that a build finds them anew."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeVar

from buildtool.diag import BuildError, suggestion
from buildtool.lock.exchanges import RunPins
from buildtool.lock.model import DebianPins, Lock
from buildtool.lock.packages import package_of
from buildtool.lock.pypi import PythonPins

_P = TypeVar("_P")

#: What stands between the words of a pin's name: `app 1 linux/amd64`, `URL#REF`.
_BETWEEN = re.compile(r"([ #])")
_TABLES = ("images", "files", "git", "debian", "pypi", "npm", "runs")


def dropped(lock: Lock, patterns: Sequence[str]) -> tuple[Lock, frozenset[str]]:
    """The lock without the pins that match, and the places of the steps among them.

    A pattern is a shell's.  It matches a pin by its name, by words of that (`app 1` or `app`
    for the step `app 1 linux/amd64`, `ubuntu:20.04` for an image), and by a package that was
    chosen for it (`curl`).  What is recorded anew is of the present, so the clock goes with
    any step.  BuildError `no-such-pin` for a pattern that matches nothing.
    """
    if not patterns:
        return lock, frozenset()
    found: set[str] = set()
    changed = {name: _left(getattr(lock, name), patterns, found) for name in _TABLES}
    for pattern in patterns:
        if pattern not in found and pattern != "*":
            raise _unmatched(lock, pattern)
    anew = frozenset(lock.runs.keys() - changed["runs"].keys())
    clock = None if anew or not changed["runs"] else lock.clock
    return replace(lock, clock=clock, **changed), anew  # type: ignore[arg-type]


def restored(before: Lock, found: Lock) -> Lock:
    """What was found so far, and what was there before where nothing has been found instead."""
    tables = {name: {**getattr(before, name), **getattr(found, name)} for name in _TABLES}
    clock = before.clock if found.clock is None else found.clock
    return replace(found, clock=clock, **tables)  # type: ignore[arg-type]


def _left(pins: Mapping[str, _P], patterns: Sequence[str], found: set[str]) -> dict[str, _P]:
    """The pins that no pattern matches; those that matched are added to `found`."""
    left: dict[str, _P] = {}
    for name, pin in pins.items():
        names = set(_names(name, pin))
        matched = {p for p in patterns if any(fnmatchcase(n, p) for n in names)}
        found |= matched
        if not matched:
            left[name] = pin
    return left


def _names(name: str, pin: object) -> Iterator[str]:
    """By what a pin may be called."""
    words = _BETWEEN.split(name)
    for first in range(0, len(words), 2):
        for last in range(first + 1, len(words) + 1, 2):
            yield "".join(words[first:last])
    if isinstance(pin, DebianPins):
        yield from (package.name for package in pin.resolved)
    elif isinstance(pin, PythonPins):
        yield from (wheel.project for wheel in pin.resolved)
    else:
        places = (e.place for e in pin.exchanges) if isinstance(pin, RunPins) else (name,)
        yield from (package.name for place in places if (package := package_of(place)))


def _unmatched(lock: Lock, pattern: str) -> BuildError:
    names = [name for table in _TABLES for name in getattr(lock, table)]
    return BuildError(
        "no-such-pin",
        f"nothing in the lock matches {pattern!r}",
        hint=suggestion(pattern, names) or "`buildtool lock show --all` lists what is in it",
    )
