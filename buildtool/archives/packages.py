"""The binary packages that suites offer, found by name, by what they provide and by their priority."""

from collections.abc import Iterable
from functools import cached_property

from buildtool.archives import deb822
from buildtool.archives.debversion import VersionKey, version_key
from buildtool.archives.relations import Clause, Relation, parse_relations
from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.lock.debian import DebianPackage


class Candidate:
    """One package of one suite; its stanza is taken apart when first asked for."""

    def __init__(self, stanza: bytes, archive: str, *, automatic: bool) -> None:
        self.archive = archive
        self.automatic = automatic
        self._stanza = stanza
        self.version = deb822.field(stanza, b"Version").decode()

    @cached_property
    def fields(self) -> dict[str, str]:
        """All fields, by lower-case name."""
        return deb822.fields(self._stanza)

    @property
    def name(self) -> str:
        """The package's name."""
        return self.fields["package"]

    @property
    def priority(self) -> str:
        """`required`, `important`, `standard`, `optional` or `extra`."""
        return self.fields.get("priority", "optional")

    @property
    def essential(self) -> bool:
        """Whether the package is marked Essential."""
        return self.fields.get("essential", "no") == "yes"

    @cached_property
    def rank(self) -> tuple[bool, VersionKey]:
        """The greater, the better: packages of backports and the like come last, then the version counts."""
        return (self.automatic, version_key(self.version))

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        """The virtual packages that this one stands for, with their version if they have one."""
        return tuple(relation for clause in self.relations("provides") for relation in clause)

    def relations(self, field: str) -> tuple[Clause, ...]:
        """The clauses of a field such as `depends`."""
        return parse_relations(self.fields.get(field, ""))

    def fulfils(self, relation: Relation) -> bool:
        """Whether installing this package makes the relation hold, by its name or by what it provides."""
        if self.name == relation.name and relation.accepts(self.version):
            return True
        return any(
            p.name == relation.name
            and (not relation.operator or (p.operator == "=" and relation.accepts(p.version)))
            for p in self.provides
        )

    def package(self, *, essential: bool) -> DebianPackage:
        """What a lock says of this package; BuildError `bad-package-index` if something is missing."""
        values = self.fields
        try:
            return DebianPackage(
                name=self.name,
                version=self.version,
                architecture=values["architecture"],
                archive=self.archive,
                path=values["filename"].removeprefix("./"),
                size=int(values["size"]),
                digest=parse_digest(f"sha256:{values['sha256']}"),
                essential=essential,
            )
        except KeyError as e:
            raise self._wrong(f"it has no {e.args[0]}") from e
        except (ValueError, BuildError) as e:
            raise self._wrong(e.message if isinstance(e, BuildError) else str(e)) from e

    def _wrong(self, why: str) -> BuildError:
        return BuildError("bad-package-index", f"the index describes {self} wrongly: {why}", exit_status=1)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Universe:
    """All packages that a request may choose from.  Earlier suites win where versions are equal."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, list[Candidate]] = {}
        self._providing: dict[bytes, set[bytes]] = {}
        self._marked: dict[bytes, set[bytes]] = {}

    def add(self, index: bytes, archive: str, *, automatic: bool) -> int:
        """Add the stanzas of a `Packages` file; how many they were."""
        count = 0
        for stanza in deb822.stanzas(index):
            name = deb822.field(stanza, b"Package")
            if not name:
                raise BuildError("bad-package-index", "a stanza of the index has no Package", exit_status=1)
            candidate = Candidate(stanza, archive, automatic=automatic)
            self._by_name.setdefault(name, []).append(candidate)
            count += 1
            if b"\nProvides:" in stanza:
                for virtual in candidate.provides:
                    self._providing.setdefault(virtual.name.encode(), set()).add(name)
            if b"\nEssential: yes" in stanza:
                self._marked.setdefault(b"essential", set()).add(name)
            priority = deb822.field(stanza, b"Priority")
            if priority in (b"required", b"important"):
                self._marked.setdefault(priority, set()).add(name)
        return count

    def named(self, name: str) -> list[Candidate]:
        """The packages of a name, best first."""
        found = sorted(self._by_name.get(name.encode(), ()), key=lambda c: c.rank, reverse=True)
        once: dict[str, Candidate] = {}
        for candidate in found:
            once.setdefault(candidate.version, candidate)
        return list(once.values())

    def providers(self, name: str) -> list[Candidate]:
        """The best package of each name that provides the virtual package `name`: by priority, then name."""
        found = (self.named(p.decode())[0] for p in self._providing.get(name.encode(), ()))
        return sorted(
            (c for c in found if any(p.name == name for p in c.provides)),
            key=lambda c: (not c.automatic, _PRIORITIES.get(c.priority, len(_PRIORITIES)), c.name),
        )

    def marked(self, *marks: str) -> list[str]:
        """The names of packages that are `essential`, `required` or `important`, in order."""
        names = {n.decode() for mark in marks for n in self._marked.get(mark.encode(), ())}
        return sorted(n for n in names if _has_mark(self.named(n)[0], marks))

    def names(self) -> Iterable[str]:
        """Every name, for suggestions."""
        return (name.decode() for name in self._by_name)


_PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}


def _has_mark(best: Candidate, marks: tuple[str, ...]) -> bool:
    """An older version may carry a mark that the one to be installed has lost."""
    return best.priority in marks or ("essential" in marks and best.essential)
