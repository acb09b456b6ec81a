"""Keys: what a step is, as one plain value, hashed.

`identity` is the one walk.  Its value is what `key` hashes and what `explain`
compares, so the two cannot drift apart.  It takes every field of every
dataclass it meets, except those marked as hints and those that are `later` than
their kind and have their default.

With the keys of its inputs a step has a *definition key*: the same for the same
text, before anything has run.  With the digests of its inputs' outputs it has an
*action key*: the name of its result in the cache.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import cast

from buildtool.digest import Key, Plain, key_of
from buildtool.graph.model import STEP_KINDS, Step, counts, walk

#: A change of what keys are made of, or of what steps produce, moves this number.
FORMAT = 1


def identity(value: object, ref: Callable[[Step], Plain]) -> Plain:
    """`value` as a plain value, a step below it replaced by what `ref` says of it."""
    if isinstance(value, STEP_KINDS):
        return ref(cast(Step, value))
    if is_dataclass(value) and not isinstance(value, type):
        return fields_of(value, ref)
    if isinstance(value, tuple):
        return [identity(item, ref) for item in value]
    if value is None or isinstance(value, bool | int | str | bytes):
        return value
    raise TypeError(f"{type(value).__name__} has no identity")


def fields_of(value: object, ref: Callable[[Step], Plain]) -> dict[str, Plain]:
    """The kind and the identity fields of one dataclass, steps in its fields replaced by `ref`."""
    plain: dict[str, Plain] = {"kind": type(value).__name__}
    for f in fields(value):  # type: ignore[arg-type]
        found = getattr(value, f.name)
        if counts(f, found):
            plain[f.name] = identity(found, ref)
    return plain


def key(step: Step, ref: Callable[[Step], Plain], **extra: Plain) -> Key:
    """The key of a step whose inputs are named by `ref`; `extra` is what else its result depends on."""
    return key_of({"format": FORMAT, "step": fields_of(step, ref), **extra})


def definition_keys(roots: list[Step]) -> dict[int, Key]:
    """The definition key of every step that the roots need, by `id` of the step."""
    keys: dict[int, Key] = {}
    for step in walk(roots):
        keys[id(step)] = key(step, lambda s: keys[id(s)])
    return keys


def explain(old: Plain, new: Plain, path: str = "") -> Iterator[str]:
    """What differs between two identities, a line a field: `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict) and old.get("kind") == new.get("kind"):
        for name in sorted(set(old) | set(new)):
            yield from explain(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for n, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from explain(a, b, f"{path}[{n}]")
    elif old != new:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Plain) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
