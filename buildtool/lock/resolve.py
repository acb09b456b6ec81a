"""Pins while a build asks for them: known ones are used, missing ones are found and recorded."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from buildtool.address import public
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import DebianPins, FilePin, Lock
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonPins, PythonRequest, Wheel

_UPDATE = "run the build once without --locked, and commit the lock"


class Resolver(Protocol):
    """Finds what a request means today; the only part of a pin that needs a network."""

    def debian(self, request: DebianRequest) -> DebianPins:
        """Choose packages from the archive as it is now; BuildError if it cannot be done."""

    def file(self, url: str, expect: Digest | None) -> FilePin:
        """Download a file as it is now; BuildError if it cannot be had, or is not the one expected."""

    def commit(self, url: str, ref: str) -> str:
        """The commit of a branch, a tag or (empty) the default branch as it is now; BuildError if none."""

    def python(self, request: PythonRequest) -> PythonPins:
        """Choose wheels from the index as it is now; BuildError if it cannot be done."""

    def node(self, archives: Sequence[NodeArchive]) -> Sequence[NodePin]:
        """Download archives and hold them against their integrity; BuildError if one is not it."""


class Pins:
    """A lock in use.  `locked` refuses to change it: BuildError `lock-outdated`.

    Pins that a build does not ask for are kept: a build of one target knows
    nothing of the others.  May be used from several threads; a request is
    resolved once.
    """

    def __init__(self, lock: Lock, resolver: Resolver, locked: bool = False) -> None:
        self._before = lock
        self._lock = lock
        self._resolver = resolver
        self._locked = locked
        self._guard = threading.RLock()

    @property
    def lock(self) -> Lock:
        """The lock as it should be written."""
        return self._lock

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self._lock != self._before

    def debian(self, request: DebianRequest) -> tuple[DebianPackage, ...]:
        """The packages of a request, in the order of installation."""
        with self._guard:
            known = self._lock.debian.get(request.id)
            if known is not None and known.answers(request):
                return known.resolved
            state = "asks for other packages than" if known is not None else "is not in"
            self._changeable(f"{request.name} ({request.architecture}) {state} the lock")
            found = self._resolver.debian(request)
            self._lock = replace(self._lock, debian={**self._lock.debian, request.id: found})
            return found.resolved

    def file(self, url: str, expect: Digest | None = None) -> FilePin:
        """The file of a URL; one that is not `expect`, where the build says that, is asked for anew."""
        name = public(url)
        with self._guard:
            known = self._lock.files.get(name)
            if known is not None and expect in (None, known.digest):
                return known
            state = "has another checksum in" if known is not None else "is not in"
            self._changeable(f"{name} {state} the lock")
            found = self._resolver.file(url, expect)
            self._lock = replace(self._lock, files={**self._lock.files, name: found})
            return found

    def commit(self, url: str, ref: str, expect: str = "") -> str:
        """The commit of a ref of a repository, which begins with `expect`; BuildError `checksum-mismatch`."""
        name = f"{public(url)}#{ref or 'HEAD'}"
        with self._guard:
            known = self._lock.git.get(name)
            if known is not None and known.startswith(expect):
                return known
            state = "is another commit in" if known is not None else "is not in"
            self._changeable(f"{name} {state} the lock")
            found = self._resolver.commit(url, ref)
            if not found.startswith(expect):
                raise BuildError("checksum-mismatch", f"{name} is {found}, not {expect}")
            self._lock = replace(self._lock, git={**self._lock.git, name: found})
            return found

    def python(self, request: PythonRequest) -> tuple[Wheel, ...]:
        """The wheels of a request."""
        with self._guard:
            known = self._lock.pypi.get(request.id)
            if known is not None and known.answers(request):
                return known.resolved
            state = "asks for other Python packages than" if known is not None else "is not in"
            self._changeable(f"{request.name} ({request.platform}) {state} the lock")
            found = self._resolver.python(request)
            self._lock = replace(self._lock, pypi={**self._lock.pypi, request.id: found})
            return found.resolved

    def node(self, archives: Sequence[NodeArchive]) -> tuple[NodePin, ...]:
        """What the archives of a package-lock.json are, in their order."""
        with self._guard:
            pins = self._lock.npm
            missing = [a for a in archives if a.place not in pins or pins[a.place].archive != a]
            if missing:
                self._changeable(f"{missing[0].place} is not in the lock")
                found = self._resolver.node(missing)
                pins = {**pins, **{pin.archive.place: pin for pin in found}}
                self._lock = replace(self._lock, npm=pins)
            return tuple(pins[a.place] for a in archives)

    def clock(self, now: Callable[[], int]) -> int:
        """The instant that steps with network see: the lock's, or the present, not yet recorded."""
        return now() if self._lock.clock is None else self._lock.clock

    def record_clock(self, instant: int) -> None:
        """A step used the network at `instant`: keep it, unless the lock has a clock already."""
        with self._guard:
            if self._lock.clock is None:
                self._changeable("a step uses the network, and its clock is not in the lock")
                self._lock = replace(self._lock, clock=instant)

    def _changeable(self, why: str) -> None:
        if self._locked:
            raise BuildError("lock-outdated", f"the lock would change: {why}", hint=_UPDATE)
