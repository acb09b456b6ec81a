"""Chooses the packages of a Debian root: what was asked for, and what that needs.

The rules, in order; they leave nothing to chance:

1. Roots are the packages asked for, then those of the variant, by name.
2. A package comes in one version: the highest that the suites offer (packages of
   backports and the like last), or the highest that every relation accepts.
3. Pre-Depends and Depends are followed; Recommends and Suggests are not.
4. A clause that a chosen package fulfils already adds nothing.  Clauses with one
   possible package are settled before those with a choice.
5. Of several possible packages the first alternative wins (`usr-is-merged` before
   `usrmerge`: a new root is merged from the start); of the providers of a virtual
   package the one of the highest priority, then the first by name.  A package
   that conflicts with a chosen one is passed over.
6. Where a later relation refuses the version that was chosen, that version is
   ruled out and the choice begins again.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from buildtool.archives.packages import Candidate, Universe
from buildtool.archives.relations import Clause, Relation, spelled
from buildtool.diag import BuildError, Note, suggestion
from buildtool.lock.debian import DebianPackage, DebianRequest

_ROOT_MARKS = {
    "custom": (),
    "essential": ("essential",),
    "required": ("essential", "required"),
    "minbase": ("essential", "required"),
    "important": ("essential", "required", "important"),
}
_WITH_APT = ("minbase", "important")
_PREFERRED = ("usr-is-merged",)
_MOST_RESTARTS = 200
_VERBS = {"conflicts": "conflicts with", "breaks": "breaks"}


@dataclass(frozen=True, slots=True)
class _Need:
    """A clause, and who has it; `by` is None for a root."""

    clause: Clause
    by: str | None


class _RuleOut(Exception):
    """A version cannot stay: choose again without it."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name)
        self.excluded = (name, version)


def choose(universe: Universe, request: DebianRequest) -> tuple[DebianPackage, ...]:
    """The packages that answer a request, in the order of installation.

    First the essential packages with all that they need, then the others; each
    comes after what it needs, as far as there is no cycle.  BuildError
    `no-such-package` or `debian-unresolvable`, whose notes name the chain.
    """
    excluded: set[tuple[str, str]] = set()
    for _ in range(_MOST_RESTARTS):
        attempt = _Attempt(universe, excluded)
        try:
            attempt.run(_roots(universe, request))
        except _RuleOut as e:
            excluded.add(e.excluded)
        else:
            return tuple(_ordered(attempt.chosen))
    raise BuildError("debian-unresolvable", f"no choice of packages answers {request.name}", exit_status=1)


def _roots(universe: Universe, request: DebianRequest) -> list[_Need]:
    wanted = []
    for text in request.packages:
        name, _, version = text.partition("=")
        wanted.append(Relation(name, "=" if version else "", version))
    wanted += [Relation(name) for name in universe.marked(*_ROOT_MARKS[request.variant])]
    if request.variant in _WITH_APT:
        wanted.append(Relation("apt"))
    return [_Need((relation,), None) for relation in dict.fromkeys(wanted)]


class _Attempt:
    """One run of the rules, without the versions that earlier runs ruled out."""

    def __init__(self, universe: Universe, excluded: set[tuple[str, str]]) -> None:
        self.chosen: dict[str, Candidate] = {}
        self._universe = universe
        self._excluded = excluded
        self._because: dict[str, _Need] = {}
        #: By name: the chosen packages that have or provide it, and those that want it away.
        self._standing: dict[str, list[Candidate]] = {}
        self._hostile: dict[str, list[tuple[Candidate, str, Relation]]] = {}

    def run(self, roots: list[_Need]) -> None:
        """Choose until every need is fulfilled."""
        plain = deque(roots)
        open_choices: deque[_Need] = deque()
        while plain or open_choices:
            need = plain.popleft() if plain else open_choices.popleft()
            if self._fulfilled(need.clause):
                continue
            options = self._options(need.clause)
            if need.by is not None and plain and len({c.name for c in options}) > 1:
                open_choices.append(need)
                continue
            taken = self._take(need, options)
            for field in ("pre-depends", "depends"):
                plain.extend(_Need(clause, taken.name) for clause in taken.relations(field))

    def _fulfilled(self, clause: Clause) -> bool:
        return any(c.fulfils(r) for r in clause for c in self._standing.get(r.name, ()))

    def _options(self, clause: Clause) -> list[Candidate]:
        """Every package that would make the clause hold, best first."""
        found: dict[tuple[str, str], Candidate] = {}
        for relation in sorted(clause, key=lambda r: r.name not in _PREFERRED):
            for candidate in self._universe.named(relation.name) + self._universe.providers(relation.name):
                key = (candidate.name, candidate.version)
                if key not in self._excluded and candidate.fulfils(relation):
                    found.setdefault(key, candidate)
        return list(found.values())

    def _take(self, need: _Need, options: list[Candidate]) -> Candidate:
        obstacles = []
        for candidate in options:
            obstacle = self._obstacle(candidate)
            if obstacle is None:
                self._because[candidate.name] = need
                self._choose(candidate)
                return candidate
            obstacles.append(obstacle)
        for relation in need.clause:
            self._reconsider(relation)
        raise self._unresolvable(need, obstacles)

    def _reconsider(self, relation: Relation) -> None:
        """Rule out the chosen version of a name, if another would do for this relation and the first one."""
        stuck = self.chosen.get(relation.name)
        if stuck is None:
            return
        first = self._because[stuck.name].clause
        for candidate in self._universe.named(relation.name):
            excluded = (candidate.name, candidate.version) in self._excluded
            if not excluded and candidate.fulfils(relation) and any(candidate.fulfils(r) for r in first):
                raise _RuleOut(stuck.name, stuck.version)

    def _choose(self, candidate: Candidate) -> None:
        self.chosen[candidate.name] = candidate
        for name in _names(candidate):
            self._standing.setdefault(name, []).append(candidate)
        for field, relation in _enemies(candidate):
            self._hostile.setdefault(relation.name, []).append((candidate, field, relation))

    def _obstacle(self, candidate: Candidate) -> str | None:
        """Why the candidate cannot be installed beside what is chosen."""
        other = self.chosen.get(candidate.name)
        if other is not None:
            return f"{candidate} cannot be installed beside {other}{self._reason(other.name)}"
        for field, relation in _enemies(candidate):
            for chosen in self._standing.get(relation.name, ()):
                if chosen.fulfils(relation):
                    return f"{candidate} {_VERBS[field]} {relation}, and {chosen} is in the way"
        for name in _names(candidate):
            for chosen, field, relation in self._hostile.get(name, ()):
                if candidate.fulfils(relation):
                    return f"{chosen} {_VERBS[field]} {relation}, and {candidate} is in the way"
        return None

    def _reason(self, name: str) -> str:
        need = self._because[name]
        return f", which {need.by} needs" if need.by else ", which was asked for"

    def _unresolvable(self, need: _Need, obstacles: list[str]) -> BuildError:
        what = spelled(need.clause)
        if need.by is None and not obstacles and not self._universe.named(need.clause[0].name):
            name = need.clause[0].name
            return BuildError(
                "no-such-package",
                f"the suites have no package {name}",
                hint=suggestion(name, self._universe.names()),
                exit_status=1,
            )
        who = f"{need.by} needs {what}" if need.by else f"{what} was asked for"
        versions = [str(c) for r in need.clause for c in self._universe.named(r.name)]
        why = obstacles or (
            [f"the suites have {', '.join(versions)}"] if versions else ["the suites have no such package"]
        )
        return BuildError(
            "debian-unresolvable",
            f"{who}, and that cannot be had: {why[0]}",
            notes=[Note(text) for text in (*why[1:5], *self._chain(need))],
            exit_status=1,
        )

    def _chain(self, need: _Need) -> Iterator[str]:
        """How it came to the need, from its package up to a root."""
        name = need.by
        while name is not None:
            cause = self._because[name]
            if cause.by is None:
                yield f"{self.chosen[name]} was asked for or belongs to every root"
            else:
                yield f"{cause.by} needs {spelled(cause.clause)}"
            name = cause.by


def _names(candidate: Candidate) -> list[str]:
    return list(dict.fromkeys((candidate.name, *(p.name for p in candidate.provides))))


def _enemies(candidate: Candidate) -> Iterator[tuple[str, Relation]]:
    """What may not be installed beside a package, and by which of its fields."""
    for field in _VERBS:
        for clause in candidate.relations(field):
            for relation in clause:
                yield field, relation


def _ordered(chosen: dict[str, Candidate]) -> Iterator[DebianPackage]:
    """Depth first through what each package needs, essential packages first, then by name."""
    providing: dict[str, list[Candidate]] = {}
    for _, candidate in sorted(chosen.items()):
        providing.setdefault(candidate.name, []).append(candidate)
        for virtual in candidate.provides:
            providing.setdefault(virtual.name, []).append(candidate)
    done: set[str] = set()
    roots = sorted(chosen.values(), key=lambda c: c.name)
    for essential in (True, False):
        for root in roots:
            if root.essential or not essential:
                for candidate in _after_needs(root, providing, done):
                    yield candidate.package(essential=essential)


def _after_needs(
    root: Candidate, providing: dict[str, list[Candidate]], done: set[str]
) -> Iterator[Candidate]:
    """What `root` needs and is not done, then `root`; a stack of our own, for chains can be long."""
    stack: list[tuple[Candidate, Iterator[Candidate]]] = []

    def enter(candidate: Candidate) -> None:
        if candidate.name not in done:
            done.add(candidate.name)
            stack.append((candidate, iter(list(_needed(candidate, providing)))))

    enter(root)
    while stack:
        candidate, needs = stack[-1]
        following = next(needs, None)
        if following is None:
            stack.pop()
            yield candidate
        else:
            enter(following)


def _needed(candidate: Candidate, providing: dict[str, list[Candidate]]) -> Iterable[Candidate]:
    for field in ("pre-depends", "depends"):
        for clause in candidate.relations(field):
            found = (c for r in clause for c in providing.get(r.name, ()) if c.fulfils(r))
            if (first := next(found, None)) is not None:
                yield first
