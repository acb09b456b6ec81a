"""Pins while a build asks for them: known ones are used, missing ones are found and recorded."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from buildtool.address import public
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.exchanges import Asked, Exchange, RunPins
from buildtool.lock.model import DebianPins, FilePin, Lock
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonPins, PythonRequest, Wheel


class Resolver(Protocol):
    """Finds what a request means today; the only part of a pin that needs a network."""

    def debian(self, request: DebianRequest) -> DebianPins:
        """Choose packages from the archive as it is now; BuildError if it cannot be done."""

    def image(self, name: str, platform: str) -> Digest:
        """The manifest that a name of a registry stands for on a platform now; BuildError if none."""

    def file(self, url: str, expect: Digest | None) -> FilePin:
        """Download a file as it is now; BuildError if it cannot be had, or is not the one expected."""

    def commit(self, url: str, ref: str) -> str:
        """The commit of a branch, a tag or (empty) the default branch as it is now; BuildError if none."""

    def python(self, request: PythonRequest) -> PythonPins:
        """Choose wheels from the index as it is now; BuildError if it cannot be done."""

    def node(self, archives: Sequence[NodeArchive]) -> Sequence[NodePin]:
        """Download archives and hold them against their integrity; BuildError if one is not it."""


class Pins:
    """A lock in use.  `locked` refuses to change it: BuildError `lock-outdated`, with `flag` as the reason.

    With `pull` what images mean is found anew, each once.

    Pins that a build does not ask for are kept: a build of one target knows
    nothing of the others.  May be used from several threads; a request is
    resolved once.  The steps at the places `anew` are recorded anew, without
    regard to what others were answered.
    """

    def __init__(
        self,
        lock: Lock,
        resolver: Resolver,
        locked: bool = False,
        flag: str = "--locked",
        anew: frozenset[str] = frozenset(),
        pull: bool = False,
    ) -> None:
        self._before = lock
        self._lock = lock
        self._resolver = resolver
        self._locked = locked
        self._flag = flag
        self._anew = anew
        self._recorded: dict[str, RunPins] = {}
        self._used: dict[str, set[str]] = {}
        self._pull = pull
        self._pulled: set[str] = set()
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
            self._use("debian", request.id)
            known = self._lock.debian.get(request.id)
            if known is not None and known.answers(request):
                return known.resolved
            state = "asks for other packages than" if known is not None else "is not in"
            self._changeable(f"{request.name} ({request.architecture}) {state} the lock")
            found = self._resolver.debian(request)
            self._lock = replace(self._lock, debian={**self._lock.debian, request.id: found})
            return found.resolved

    def image(self, name: str, platform: str) -> Digest:
        """The manifest of the image that a name of a registry, with a tag, means on a platform."""
        pin = f"{name} {platform}"
        with self._guard:
            self._use("images", pin)
            known = self._lock.images.get(pin)
            fresh = self._pull and pin not in self._pulled
            if known is not None and not fresh:
                return known
            if known is None:
                self._changeable(f"{pin} is not in the lock")
            found = self._resolver.image(name, platform)
            self._pulled.add(pin)
            if found != known:
                self._changeable(f"{pin} is another image today")
                self._lock = replace(self._lock, images={**self._lock.images, pin: found})
            return found

    def file(self, url: str, expect: Digest | None = None) -> FilePin:
        """The file of a URL; one that is not `expect`, where the build says that, is asked for anew."""
        name = public(url)
        with self._guard:
            self._use("files", name)
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
            self._use("git", name)
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
            self._use("pypi", request.id)
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
            self._use("npm", *(archive.place for archive in archives))
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

    # ------------------------------------------------------------ recordings of steps

    def recording(self, step: str) -> RunPins | None:
        """The recording of exactly this step (its action key), whatever it is called."""
        with self._guard:
            found = [*self._recorded.values(), *self._before.runs.values()]
            return next((pins for pins in found if pins.step == step), None)

    def known(self, place: str) -> tuple[Exchange, ...]:
        """What a changed step called `place` need not ask again; of two answers the first counts.

        That is what it was answered itself before, and what any step of the lock was.
        """
        with self._guard:
            others = {} if place in self._anew else self._before.runs
            own = (others[place],) if place in others else ()
            all_pins = (*own, *self._recorded.values(), *others.values())
            found: dict[Asked, Exchange] = {}
            for pins in all_pins:
                for exchange in pins.exchanges:
                    found.setdefault(exchange.asked, exchange)
            return tuple(found.values())

    def may_record(self, place: str) -> None:
        """BuildError `lock-outdated` if no recording of the step called `place` may be added."""
        state = "is another step than in" if place in self._before.runs else "uses the network and is not in"
        self._changeable(f"{place} {state} the lock")

    def record(self, place: str, pins: RunPins) -> None:
        """Keep what a step exchanged under its place, or as it is if the lock may not change and has it."""
        with self._guard:
            known = any(pins == old for old in self._lock.runs.values())
            if known and self._locked:
                return
            if not known:
                self.may_record(place)
                self.record_clock(pins.clock)
            name = self._free(place, pins.step)
            self._recorded[name] = pins
            runs = {n: old for n, old in self._lock.runs.items() if old.step != pins.step}
            self._lock = replace(self._lock, runs={**runs, name: pins})

    def _free(self, place: str, step: str) -> str:
        """A name that no other step of this build has: builds may differ in no more than an argument."""
        name, number = place, 1
        while name in self._recorded and self._recorded[name].step != step:
            number += 1
            name = f"{place} #{number}"
        return name

    # ------------------------------------------------------------ the lock as a whole

    def pruned(self) -> Lock:
        """The lock without the pins that nothing asked for."""
        with self._guard:
            kept: dict[str, object] = {"runs": dict(self._recorded)}
            for name in ("images", "files", "git", "debian", "pypi", "npm"):
                used = self._used.get(name, set())
                kept[name] = {k: pin for k, pin in getattr(self._lock, name).items() if k in used}
            return replace(self._lock, **kept)  # type: ignore[arg-type]

    def _use(self, table: str, *names: str) -> None:
        self._used.setdefault(table, set()).update(names)

    def _changeable(self, why: str) -> None:
        if self._locked:
            hint = f"run the build once without {self._flag}, and commit the lock"
            raise BuildError("lock-outdated", f"the lock would change: {why}", hint=hint)
