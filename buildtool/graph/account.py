"""Accounts: what the steps of a build were, kept to tell at the next one what has changed and why.

An account is a list of entries, inputs first.  It holds the identities that keys are made
of (`keys.identity`), with the content of local files beside them, so a step is told as
changed exactly where its key is another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, json

from buildtool.digest import Plain, key_of
from buildtool.graph.keys import explain, fields_of, key
from buildtool.graph.model import LocalSource, Step, inputs, walk

#: The content of a local source as a digest, or nothing where it is not known.
Content = Callable[[LocalSource], str]


class Entry(Struct, frozen=True):
    """A step: its key, its own fields as JSON (inputs left out), and the entries of its inputs."""

    key: str
    kind: str
    title: str
    place: str
    fields: str
    inputs: tuple[int, ...]
    content: str = ""


class Change(Struct, frozen=True):
    """A step that is not what it was: lines that say why, and whether that lies in its inputs alone."""

    entry: Entry
    reasons: tuple[str, ...]
    inherited: bool


def account(root: Step, content: Content) -> tuple[Entry, ...]:
    """The entries of all steps that `root` needs."""
    numbers: dict[int, int] = {}
    entries: list[Entry] = []
    for step in walk([root]):
        held = content(step) if isinstance(step, LocalSource) else ""
        name = key(step, lambda s: entries[numbers[id(s)]].key, content=held)
        fields = fields_of(step, lambda s: entries[numbers[id(s)]].title)
        origin = step.origin
        title = origin.title if origin else type(step).__name__
        if isinstance(step, LocalSource):
            title = "files " + ", ".join(i or "." for i in step.include[:3])
        place = _text(f"{origin.span.file}:{origin.span.line}") if origin and origin.span else ""
        below = tuple(numbers[id(i)] for i in inputs(step))
        numbers[id(step)] = len(entries)
        text = json.encode(_printable(fields), order="sorted").decode()
        entries.append(Entry(name, type(step).__name__, _text(title), place, text, below, held))
    return tuple(entries)


def changes(
    old: Sequence[Entry], new: Sequence[Entry], files: Callable[[Entry, Entry], Iterator[str]]
) -> list[Change]:
    """The entries of `new` that are not in `old`, each with what differs from its counterpart there.

    `files` tells what differs between two local sources of other content.
    """
    known = {e.key for e in old}
    present = {e.key for e in new}
    left = [e for e in old if e.key not in present]
    found = []
    for entry in new:
        if entry.key in known:
            continue
        before = _counterpart(entry, left)
        if before is None:
            found.append(Change(entry, ("it was not part of the build",), False))
            continue
        left.remove(before)
        reasons = list(explain(json.decode(before.fields), json.decode(entry.fields)))
        if before.content != entry.content:
            reasons += list(files(before, entry)) or ["the content of its files changed"]
        inherited = not reasons
        for number in entry.inputs if inherited else ():
            if new[number].key not in known:
                reasons.append(f"its input changed: {new[number].title}")
        found.append(Change(entry, tuple(reasons), inherited))
    return found


def _counterpart(entry: Entry, candidates: Sequence[Entry]) -> Entry | None:
    """What an entry was before: of the same kind, best with its title, else at its place, else the first."""
    same = [e for e in candidates if e.kind == entry.kind]
    alike: list[Callable[[Entry], bool]] = [
        lambda e: e.title == entry.title and e.fields == entry.fields,
        lambda e: e.title == entry.title,
        lambda e: bool(e.place) and e.place == entry.place,
    ]
    for test in alike:
        if chosen := next((e for e in same if test(e)), None):
            return chosen
    return same[0] if entry.kind == "Image" and same else None


def _printable(value: Plain) -> Plain:
    """Bytes, which JSON has none of, as their digest."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {key_of(value)[:12]}"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {k: _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, list) else value


def _text(text: str) -> str:
    """The text, bytes of names that are not UTF-8 shown as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
