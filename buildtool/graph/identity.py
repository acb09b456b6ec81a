"""What of a step is its identity: all of its fields, but for those that say otherwise."""

from dataclasses import MISSING, Field, field
from typing import Any


def hint(default: Any = MISSING) -> Any:
    """A field that is no part of the identity."""
    return field(default=default, metadata={"identity": False})


def later(default: Any) -> Any:
    """A field that a kind got later: it takes part in the identity unless it has its default."""
    return field(default=default, metadata={"later": True})


def counts(f: Field[Any], value: object) -> bool:
    """Whether a field with this value takes part in the identity of its step."""
    if f.metadata.get("later"):
        return value != f.default
    return bool(f.metadata.get("identity", True))
