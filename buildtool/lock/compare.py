"""What changed between two locks, in words: images, packages, files, steps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from buildtool.lock.instant import spell
from buildtool.lock.model import DebianPins, Lock
from buildtool.lock.packages import Package, is_newer, package_of
from buildtool.lock.pypi import PythonPins

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed: `before` and `after` as people say it.

    `kind` is `new`, `gone` or `changed`; for a package in another version `up` or `down`.
    """

    kind: str
    subject: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Changes of one part of a lock, under a title."""

    title: str
    changes: tuple[Change, ...]


def compare(old: Lock, new: Lock) -> tuple[Section, ...]:
    """What changed from `old` to `new`, by part; nothing if nothing did."""
    both = (old, new)
    sections = [
        Section("clock", tuple(_pins(*({"present": spell(x.clock)} if x.clock else {} for x in both)))),
        Section("images", tuple(_pins(*(_short(x.images) for x in both)))),
        Section("files", tuple(_pins(*(_short({u: p.digest for u, p in x.files.items()}) for x in both)))),
        Section("git", tuple(_pins(*(_short(x.git) for x in both)))),
        *_chosen("debian", *({name: _debian(pins) for name, pins in x.debian.items()} for x in both)),
        *_chosen("pypi", *({name: _python(pins) for name, pins in x.pypi.items()} for x in both)),
        Section("npm", tuple(_packages(*(_of_places(x.npm) for x in both)))),
        *_steps(old, new),
    ]
    return tuple(section for section in sections if section.changes)


def _pins(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        kind = "new" if before is None else "gone" if after is None else "changed"
        yield Change(kind, name, before or "", after or "")


def _packages(old: frozenset[Package], new: frozenset[Package]) -> Iterator[Change]:
    """Packages by name; one that is there in several versions is told with all of them."""

    def versions(packages: frozenset[Package]) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        for package in sorted(packages):
            found.setdefault(package.name, []).append(package.version)
        return {name: ", ".join(several) for name, several in found.items()}

    for change in _pins(versions(old), versions(new)):
        if change.kind == "changed":
            yield replace(change, kind="up" if is_newer(change.after, change.before) else "down")
        else:
            yield change


def _of_places(places: Mapping[str, object]) -> frozenset[Package]:
    return frozenset(package for place in places if (package := package_of(place)))


def _debian(pins: DebianPins) -> frozenset[Package]:
    return frozenset(Package("debian", p.name, p.version) for p in pins.resolved)


def _python(pins: PythonPins) -> frozenset[Package]:
    return frozenset(Package("python", w.project, w.version) for w in pins.resolved)


def _chosen(
    title: str, old: Mapping[str, frozenset[Package]], new: Mapping[str, frozenset[Package]]
) -> Iterator[Section]:
    """The packages that were chosen for each request."""
    for name in sorted(old.keys() | new.keys()):
        chosen = _packages(old.get(name, frozenset()), new.get(name, frozenset()))
        yield Section(f"{title} {name}", tuple(chosen))


def _steps(old: Lock, new: Lock) -> Iterator[Section]:
    """Steps by their names: the packages that they got, and everything else that was answered otherwise."""
    for name in sorted(old.runs.keys() | new.runs.keys()):
        answers = [
            {} if name not in lock.runs else {e.place: _cut(e.body or "-") for e in lock.runs[name].exchanges}
            for lock in (old, new)
        ]
        packages = [_of_places(found) for found in answers]
        others = [{p: d for p, d in found.items() if package_of(p) is None} for found in answers]
        changes = (*_packages(*packages), *_pins(*others))
        yield Section(f"step {name}", changes or tuple(_recorded(old, new, name)))


def _recorded(old: Lock, new: Lock, name: str) -> Iterator[Change]:
    """A step that was answered the same, and is another all the same."""
    before, after = old.runs.get(name), new.runs.get(name)
    if before is None or after is None:
        yield Change("new" if before is None else "gone", "asks for nothing")
    elif before.step != after.step:
        yield Change("changed", "command or inputs", _cut(before.step), _cut(after.step))
    elif before != after:
        yield Change("changed", "recorded", spell(before.clock), spell(after.clock))


def _short(pins: Mapping[str, str]) -> dict[str, str]:
    return {name: _cut(value) for name, value in pins.items()}


def _cut(value: str) -> str:
    return value.removeprefix("sha256:")[:_SHORT]
