"""In-toto statements (Statement v1): what is said about which artifacts, as one canonical line of JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of

STATEMENT = "https://in-toto.io/Statement/v1"

#: Predicate types: SLSA's, and our own (docs/design/verify.md).
PROVENANCE = "https://slsa.dev/provenance/v1"
REBUILT = "urn:buildtool:rebuilt:v1"

LARGEST = 64 << 20


class Subject(Struct, frozen=True, omit_defaults=True):
    """An artifact by the digests of its bytes, hexadecimal, by algorithm."""

    digest: Mapping[str, str]
    name: str = ""


class Statement(Struct, frozen=True, rename="camel"):
    """`predicate_type` says how to read `predicate`."""

    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]
    type: str = field(default=STATEMENT, name="_type")

    def is_about(self, digest: Digest) -> bool:
        """Whether an artifact of this digest is among its subjects."""
        return any(s.digest.get("sha256") == hex_of(digest) for s in self.subject)


def encoded(statement: Statement) -> bytes:
    """The bytes of a statement: the same for the same statement."""
    return msgspec.json.encode(statement, order="sorted")


def document(statement: Statement) -> bytes:
    """A statement as a file that people read too: indented, the same bytes for the same statement."""
    return msgspec.json.format(encoded(statement), indent=2) + b"\n"


def decoded(data: bytes) -> Statement:
    """A statement from its bytes; BuildError `bad-statement`."""
    try:
        found = msgspec.json.decode(data, type=Statement)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise BuildError("bad-statement", f"this is not an in-toto statement: {exc}") from exc
    if found.type != STATEMENT:
        raise BuildError("bad-statement", f"statements of type {found.type[:80]!r} are not known")
    return found


def rebuilt(digest: Digest, how: Mapping[str, Any]) -> bytes:
    """`I rebuilt this and got that digest`: `how` tells of the machine and the build."""
    return encoded(Statement((Subject({"sha256": hex_of(digest)}),), REBUILT, dict(how)))
