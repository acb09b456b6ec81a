"""Relations between Debian packages (Debian policy 7.1): `a (>= 1) | b, c:any`."""

import re
from dataclasses import dataclass
from functools import lru_cache

from buildtool.archives.debversion import satisfies
from buildtool.diag import BuildError

_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<arch>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<op><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?"
)
#: The obsolete spellings of policy 7.1.
_OPERATORS = {"<": "<=", ">": ">="}


@dataclass(frozen=True, slots=True)
class Relation:
    """A package by name, of any version (`operator` empty) or of those that stand in a relation to one."""

    name: str
    operator: str = ""
    version: str = ""

    def accepts(self, version: str) -> bool:
        """Whether a package of this name and `version` is meant."""
        return not self.operator or satisfies(version, self.operator, self.version)

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


#: Alternatives, of which one has to hold, in the order of preference.
Clause = tuple[Relation, ...]


@lru_cache(maxsize=65536)
def parse_relations(text: str) -> tuple[Clause, ...]:
    """The clauses of a field such as Depends; BuildError `bad-relation`.

    An architecture qualifier (`:any`) is dropped: a root has one architecture.
    """
    parts = text.replace("\n", " ").split(",")
    return tuple(tuple(_relation(one) for one in part.split("|")) for part in parts if part.strip())


def _relation(text: str) -> Relation:
    match = _RELATION.fullmatch(text.strip())
    if match is None:
        raise BuildError("bad-relation", f"{text.strip()[:100]!r} names no package", exit_status=1)
    operator = match["op"] or ""
    return Relation(match["name"], _OPERATORS.get(operator, operator), match["version"] or "")


def spelled(clause: Clause) -> str:
    """A clause as control files write it."""
    return " | ".join(str(relation) for relation in clause)
