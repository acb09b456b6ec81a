"""Wheels chosen for a platform that need not be this one: resolvelib's search over an index.

`packaging` knows versions, markers and tags, `resolvelib` (which pip uses) searches.
Markers are those of the target, which pip itself cannot be told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from packaging.markers import Environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver

from buildtool.archives.pypi import IndexFile
from buildtool.diag import BuildError, Note
from buildtool.lock.pypi import PythonRequest, Wheel, normal_name

if TYPE_CHECKING:
    from resolvelib.structs import RequirementInformation

_MOST_ROUNDS = 20_000
#: Tags of PEP 513, 571 and 599 that have a newer spelling.
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


class Index(Protocol):
    """What choosing needs of an index."""

    def files(self, project: str) -> Sequence[IndexFile]:
        """The files of a project; BuildError `no-such-package`."""

    def bring_pages(self, projects: Sequence[str]) -> None:
        """Get ready to be asked about several projects."""

    def metadata(self, file: IndexFile) -> str:
        """The METADATA of a wheel."""


class _Name(NamedTuple):
    """A project, and the extra of it that is asked for (empty: the project itself)."""

    project: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A requirement, by one extra; `hashes` (sha256, hexadecimal) limit the files if there are any."""

    name: _Name
    requirement: Requirement
    hashes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A version of a project, with the wheel of it that fits best."""

    name: _Name
    version: Version
    file: IndexFile


def choose(index: Index, request: PythonRequest) -> tuple[Wheel, ...]:
    """The wheels that a request means today.

    BuildError `bad-requirement`, `no-such-package`, `python-unresolvable` and what
    the index finds.
    """
    target = Target.of(request)
    roots = [w for text in request.requirements for w in target.wanted(*_split(text))]
    limits = [w for text in request.constraints for w in target.wanted(*_split(text))]
    index.bring_pages(list(dict.fromkeys(w.name.project for w in roots)))
    provider = _Provider(index, target, {w.name.project: w for w in limits})
    resolver: Resolver[_Wanted, _Candidate, _Name] = Resolver(provider, BaseReporter())
    try:
        found = resolver.resolve(roots, max_rounds=_MOST_ROUNDS).mapping
    except ResolutionImpossible as e:
        raise _unresolvable(list(e.causes), provider) from None
    except ResolutionTooDeep:
        raise BuildError(
            "python-unresolvable", "no set of versions was found in reasonable time", exit_status=1
        ) from None
    chosen = {c.name.project: c for c in found.values()}
    return tuple(
        Wheel(project, str(c.version), c.file.filename, c.file.size, c.file.digest)
        for project, c in sorted(chosen.items())
    )


def _split(text: str) -> tuple[str, frozenset[str]]:
    """A line of a requirements file and the hashes behind it."""
    requirement, *options = text.split(" --hash=")
    return requirement, frozenset(o.strip().removeprefix("sha256:") for o in options if "sha256:" in o)


@dataclass(frozen=True, slots=True)
class Target:
    """The Python and the platform that wheels are chosen for; tags the best first."""

    version: str
    tags: Mapping[Tag, int]
    environment: Environment

    @classmethod
    def of(cls, request: PythonRequest) -> "Target":
        """The target of a request."""
        major, minor, *patch = (int(p) for p in request.python.split("."))
        short, full = f"{major}.{minor}", f"{major}.{minor}.{patch[0] if patch else 0}"
        platforms = list(platform_tags(request.platform))
        interpreter = f"cp{major}{minor}"
        tags = [
            *cpython_tags((major, minor), [interpreter], platforms),
            *compatible_tags((major, minor), interpreter, platforms),
        ]
        machine = request.platform.split("_", 3)[3]
        return cls(
            full,
            {tag: n for n, tag in reversed(list(enumerate(tags)))},
            Environment(
                implementation_name="cpython",
                implementation_version=full,
                os_name="posix",
                platform_machine=machine,
                platform_release="",
                platform_system="Linux",
                platform_version="",
                python_full_version=full,
                platform_python_implementation="CPython",
                python_version=short,
                sys_platform="linux",
            ),
        )

    def wanted(self, text: str, hashes: frozenset[str] = frozenset(), extra: str = "") -> Iterator[_Wanted]:
        """What a requirement asks for here: nothing where its marker is false, else one for each extra."""
        try:
            requirement = Requirement(text)
        except InvalidRequirement as e:
            raise BuildError("bad-requirement", f"{text!r} is not a requirement: {e}") from None
        if requirement.url:
            raise BuildError(
                "bad-requirement", f"{text!r} names an address; only packages of an index can be pinned"
            )
        environment: dict[str, Any] = {**self.environment, "extra": extra}
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            return
        project = normal_name(requirement.name)
        for name in sorted(requirement.extras):
            yield _Wanted(_Name(project, normal_name(name)), requirement, hashes)
        yield _Wanted(_Name(project), requirement, hashes)

    def rank(self, file: IndexFile) -> tuple[Version, int, tuple[int, str]] | None:
        """The version of a wheel and how good it is here, less being better; None: it does not fit."""
        try:
            _, version, build, tags = parse_wheel_filename(file.filename)
            if file.requires_python and not SpecifierSet(file.requires_python).contains(self.version, True):
                return None
        except (InvalidWheelFilename, InvalidVersion, InvalidSpecifier):
            return None
        fitting = [self.tags[t] for t in tags if t in self.tags]
        number = (-build[0], build[1]) if build else (0, "")
        return (version, min(fitting), number) if fitting else None


def platform_tags(newest: str) -> Iterator[str]:
    """The platforms that a machine of the platform `newest` can run wheels of, the best first."""
    family, major, minor, machine = newest.split("_", 3)
    oldest = 5 if machine in ("x86_64", "i686") and family == "manylinux" else 17
    for older in range(int(minor), -1, -1):
        if family == "manylinux" and older < oldest:
            break
        yield f"{family}_{major}_{older}_{machine}"
        if family == "manylinux" and older in _LEGACY:
            yield f"{_LEGACY[older]}_{machine}"
    yield f"linux_{machine}"


@dataclass(slots=True)
class _Provider(AbstractProvider[_Wanted, _Candidate, _Name]):
    """resolvelib's view of the index."""

    index: Index
    target: Target
    limits: Mapping[str, _Wanted]
    _known: dict[str, list[_Candidate]] = field(default_factory=dict)
    _needs: dict[_Candidate, list[_Wanted]] = field(default_factory=dict)

    def identify(self, requirement_or_candidate: _Wanted | _Candidate) -> _Name:
        """What is settled on one version."""
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: _Name,
        resolutions: Mapping[_Name, _Candidate],
        candidates: Mapping[_Name, Iterator[_Candidate]],
        information: Mapping[_Name, Iterator["RequirementInformation[_Wanted, _Candidate]"]],
        backtrack_causes: Sequence["RequirementInformation[_Wanted, _Candidate]"],
    ) -> tuple[bool, bool, _Name]:
        """Causes of a conflict first, then exact versions, then by name, so that the search is stable."""
        causes = {c.requirement.name.project for c in backtrack_causes}
        exact = any(
            s.operator in ("==", "===")
            for i in information[identifier]
            for s in i.requirement.requirement.specifier
        )
        return identifier.project not in causes, not exact, identifier

    def find_matches(
        self,
        identifier: _Name,
        requirements: Mapping[_Name, Iterator[_Wanted]],
        incompatibilities: Mapping[_Name, Iterator[_Candidate]],
    ) -> list[_Candidate]:
        """The versions that fit, the newest first; pre-releases only where nothing else does."""
        wanted = list(requirements[identifier])
        limit = self.limits.get(identifier.project)
        specifier = SpecifierSet()
        for item in [*wanted, limit] if limit else wanted:
            specifier &= item.requirement.specifier
        bad = {c.version for c in incompatibilities[identifier]}
        fitting = [
            c
            for c in self._candidates(identifier.project)
            if c.version not in bad and all(not w.hashes or _hex(c) in w.hashes for w in wanted)
        ]
        allowed = set(specifier.filter(c.version for c in fitting))
        pinned = any(s.operator in ("==", "===") for s in specifier)
        return [
            _Candidate(identifier, c.version, c.file)
            for c in fitting
            if c.version in allowed and (pinned or not c.file.yanked)
        ]

    def is_satisfied_by(self, requirement: _Wanted, candidate: _Candidate) -> bool:
        """Whether a candidate fits one more requirement."""
        return requirement.requirement.specifier.contains(candidate.version, prereleases=True) and (
            not requirement.hashes or _hex(candidate) in requirement.hashes
        )

    def get_dependencies(self, candidate: _Candidate) -> Iterable[_Wanted]:
        """What a version needs; with an extra, the project itself in the same version too."""
        if candidate not in self._needs:
            self._needs[candidate] = list(self._needed(candidate))
        return self._needs[candidate]

    def _needed(self, candidate: _Candidate) -> Iterator[_Wanted]:
        name, extra = candidate.name
        if extra:
            same = Requirement(f"{name}=={candidate.version}")
            yield _Wanted(_Name(name), same)
        headers = HeaderParser().parsestr(self.index.metadata(candidate.file))
        for text in headers.get_all("Requires-Dist") or ():
            for wanted in self.target.wanted(text, extra=extra):
                if wanted.name.project != name or wanted.name.extra:
                    yield wanted

    def _candidates(self, project: str) -> list[_Candidate]:
        """Every version with a wheel that fits the target, the newest first, each with its best wheel."""
        if project not in self._known:
            best: dict[Version, tuple[tuple[int, tuple[int, str]], IndexFile]] = {}
            for file in self.index.files(project):
                if not file.filename.endswith(".whl") or (ranked := self.target.rank(file)) is None:
                    continue
                version, key = ranked[0], ranked[1:]
                if version not in best or key < best[version][0]:
                    best[version] = (key, file)
            self._known[project] = [
                _Candidate(_Name(project), v, best[v][1]) for v in sorted(best, reverse=True)
            ]
        return self._known[project]

    def explain(self, wanted: _Wanted) -> str:
        """Why a requirement alone has no candidate; empty where it has one."""
        name = wanted.name.project
        if not self.index.files(name):
            return "the index has no file of it"
        found = self._candidates(name)
        if not found:
            return "it has no wheel for this Python and platform (source is never built)"
        if not any(wanted.requirement.specifier.contains(c.version, prereleases=True) for c in found):
            versions = ", ".join(str(c.version) for c in found[:4])
            return f"no such version has a wheel for this Python and platform; there are {versions}, ..."
        return ""


def _hex(candidate: _Candidate) -> str:
    return candidate.file.digest.removeprefix("sha256:")


def _unresolvable(
    causes: Sequence["RequirementInformation[_Wanted, _Candidate]"], provider: _Provider
) -> BuildError:
    """The conflict as an error: who asks for what."""
    notes: list[Note] = []
    for cause in causes:
        parent = cause.parent
        who = f"{parent.name.project} {parent.version} asks" if parent else "the requirements ask"
        why = provider.explain(cause.requirement)
        note = f"{who} for {cause.requirement.requirement}" + (f": {why}" if why else "")
        if note not in [n.message for n in notes]:
            notes.append(Note(note))
    names = ", ".join(dict.fromkeys(c.requirement.name.project for c in causes))
    return BuildError("python-unresolvable", f"no version of {names} fits", notes=notes, exit_status=1)
