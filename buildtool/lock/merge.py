"""Two builds with one lock: what each of them found is put together."""

from collections.abc import Mapping
from dataclasses import fields, replace

from buildtool.lock.model import Lock


def merged(before: Lock, ours: Lock, theirs: Lock) -> tuple[Lock, bool]:
    """`theirs`, with what was changed from `before` to `ours`; and whether all of that is in it.

    Of what both changed, each in its own way, theirs counts: they have written it down.
    """
    changed: dict[str, object] = {}
    whole = True
    for f in fields(Lock):
        old, new, other = (getattr(lock, f.name) for lock in (before, ours, theirs))
        if isinstance(new, Mapping):
            changed[f.name], agreed = _pins(old, new, other)
            whole = whole and agreed
        elif other == old:
            changed[f.name] = new
    return replace(theirs, **changed), whole  # type: ignore[arg-type]


def _pins(
    old: Mapping[str, object], new: Mapping[str, object], theirs: Mapping[str, object]
) -> tuple[dict[str, object], bool]:
    found = dict(theirs)
    whole = True
    for name in sorted(old.keys() | new.keys()):
        was, wanted, other = old.get(name), new.get(name), theirs.get(name)
        if wanted in (was, other):
            continue
        if other != was:
            whole = False
        elif wanted is None:
            found.pop(name, None)
        else:
            found[name] = wanted
    return found, whole
