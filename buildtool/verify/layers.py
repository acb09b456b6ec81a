"""Two layers compared: their entries, each with what differs of it and why."""

import hashlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace

from buildtool.diag import BuildError
from buildtool.layers.entry import Kind
from buildtool.layers.tarread import Member
from buildtool.verify.clues import Clues
from buildtool.verify.contents import content_difference
from buildtool.verify.entries import metadata, text
from buildtool.verify.explain import explain
from buildtool.verify.marks import CERTAIN, LIKELY, POSSIBLE, quoted
from buildtool.verify.model import Difference, Finding, World
from buildtool.verify.packages import Packages
from buildtool.verify.streams import Contents, Pair, Reading, pairs
from buildtool.verify.subject import Layer

#: Entries that are told one by one; the others are counted.
MOST_TOLD = 5_000
#: Bytes of contents that wait for the end of the layer, when all is known that explains them.
_MOST_QUEUED = 48 << 20


def layer_difference(number: int, first: Layer, second: Layer, clues: Clues) -> Difference | None:
    """How two layers differ; None if they have the same bytes."""
    if first.digest and first.digest == second.digest:
        return None
    name = f"layer {number}"
    digests = first.label, second.label
    archives = first.archive and second.archive
    work = _Work(clues)
    try:
        for pair in pairs(first, second, work.reading):
            work.take(pair)
    except BuildError as error:
        if error.code == "corrupt-blob":
            raise
        finding = Finding("unexplained", f"it cannot be read: {error.message}", POSSIBLE)
        return Difference("layer", name, "content", *digests, (finding,), step=first.step or second.step)
    inside, findings = work.finish(), []
    same_archive = work.reading.digests == (work.reading.digests[0],) * 2
    if not inside and not same_archive and archives:
        sizes = quoted(*(f"{size} bytes" for size in work.reading.sizes))
        findings.append(Finding("archiver", f"all entries are equal, the archives are not: {sizes}", LIKELY))
    field = "content"
    if not inside and (same_archive or not archives):
        if not archives or not first.digest or not second.digest:
            return None
        field = "compression"
        findings.append(Finding("compressor", f"the same archive: {_packing(first, second)}", CERTAIN))
    return Difference(
        "layer", name, field, *digests, tuple(findings), tuple(inside), first.step or second.step
    )


def _packing(first: Layer, second: Layer) -> str:
    kinds = [layer.media_type.rpartition(".")[2] or "unknown" for layer in (first, second)]
    sizes = f"{first.size} / {second.size} bytes"
    return f"{kinds[0]} / {kinds[1]}, {sizes}" if kinds[0] != kinds[1] else sizes


class _Work:
    """The differences of two layers while they are read."""

    def __init__(self, clues: Clues) -> None:
        self.clues = clues
        self.reading = Reading()
        self.queue: list[Pair] = []
        self.queued = 0
        self.found: list[Difference] = []
        self.more = 0
        self.digests: dict[str, str] = {}

    def take(self, pair: Pair) -> None:
        if len(self.queue) + len(self.found) >= MOST_TOLD:
            self.more += 1
            return
        self.queue.append(pair)
        if pair.contents is not None:
            self.queued += len(pair.contents.first) + len(pair.contents.second)
        if self.queued > _MOST_QUEUED:
            self.flush()

    def flush(self) -> None:
        """Look at what was queued, and let go of it."""
        one, two = self._world(self.clues.first, 0), self._world(self.clues.second, 1)
        self.digests |= _digests(self.queue)
        clues = replace(self.clues, first=one, second=two, digests=self.digests)
        formats: list[Pair] = []
        for pair in self.queue:
            inside = list(_differences(pair, clues, self.reading.packages))
            self.found += inside
            if not inside and pair.first.header != pair.second.header:
                formats.append(pair)
        if formats:
            self.found.append(_headers(formats))
        self.queue, self.queued = [], 0

    def _world(self, world: World, side: int) -> World:
        newest = self.reading.newest[side]
        return replace(world, instants=(*world.instants, ("the newest file of the layer", newest)))

    def finish(self) -> list[Difference]:
        self.flush()
        left, right = self.reading.only_first, self.reading.only_second
        found = _grouped(self.found)
        found += _renamed(left, right, self.clues)
        for members, side in ((left, 0), (right, 1)):
            found += [_only(m, side, self.reading.packages) for m in list(members.values())[:MOST_TOLD]]
        found.sort(key=lambda d: d.where)
        if self.reading.swapped[0]:
            names = text(self.reading.swapped[0]), text(self.reading.swapped[1])
            finding = Finding(
                "directory-order", f"the same entries, in another order: {quoted(*names)}", LIKELY
            )
            found.append(Difference("entry", "", "order", *names, (finding,)))
        if self.more:
            finding = Finding("unexplained", "they were not looked at", POSSIBLE)
            found.append(Difference("entry", "", f"and {self.more} entries more", findings=(finding,)))
        return found


def _digests(queue: Sequence[Pair]) -> dict[str, str]:
    """Digests and sizes of the contents that differ, as lists of files spell them."""
    found: dict[str, str] = {}
    for pair in queue:
        if pair.contents is None or not pair.contents.whole:
            continue
        for data in (pair.contents.first, pair.contents.second):
            found[f"{len(data)} bytes"] = text(pair.first.entry.path)
            for algorithm in ("md5", "sha1", "sha256", "sha512"):
                digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
                spelled = digest.hex(), b64encode(digest).decode(), urlsafe_b64encode(digest).decode()
                found.update((s.rstrip("="), text(pair.first.entry.path)) for s in spelled)
    return found


def _differences(pair: Pair, clues: Clues, packages: Packages) -> Iterator[Difference]:
    path = text(pair.first.entry.path) or "."
    upstream = packages.finding(pair.first.entry.path)
    for found in metadata(pair.first, pair.second, clues.at(path)):
        yield replace(found, findings=(upstream,)) if upstream else found
    if pair.contents is None:
        return
    sizes = f"{pair.contents.sizes[0]} bytes", f"{pair.contents.sizes[1]} bytes"
    if upstream is not None:
        yield Difference("entry", path, "content", *sizes, (upstream,))
        return
    yield _content(path, sizes, pair.contents, clues.at(path))


def _content(path: str, sizes: tuple[str, str], contents: Contents, clues: Clues) -> Difference:
    if not contents.first and not contents.second:
        finding = Finding("unexplained", "too much differs in this layer to look at all of it", POSSIBLE)
        return Difference("entry", path, "content", *sizes, (finding,))
    seen = content_difference(contents.first, contents.second, clues)
    findings = seen.findings
    if not contents.whole:
        findings = tuple(replace(f, evidence=f"from byte {contents.at}: {f.evidence}") for f in findings)
    return Difference("entry", path, "content", *sizes, findings, seen.inside, lines=seen.lines)


def _headers(formats: Sequence[Pair]) -> Difference:
    """That entries say the same in other words: another writer of tar archives."""
    one, two = formats[0].first, formats[0].second
    magics = _magic(one), _magic(two)
    what = quoted(*magics) if magics[0] != magics[1] else "their headers are written otherwise"
    finding = Finding("archiver", f"{len(formats)} entries: {what}", LIKELY)
    return Difference("entry", text(one.entry.path) or ".", "header", *magics, (finding,))


def _magic(member: Member) -> str:
    return member.header[257:265].decode("latin-1").strip("\0 ")


def _grouped(found: Sequence[Difference]) -> list[Difference]:
    """One difference a path: several fields of one become parts of it."""
    paths: dict[str, list[Difference]] = {}
    for each in found:
        paths.setdefault(each.where, []).append(each)
    return [_one(path, parts) for path, parts in paths.items()]


def _one(path: str, parts: Sequence[Difference]) -> Difference:
    if len(parts) == 1:
        return parts[0]
    return Difference("entry", path, ", ".join(d.field for d in parts), inside=tuple(parts))


def _renamed(left: dict[bytes, Member], right: dict[bytes, Member], clues: Clues) -> list[Difference]:
    """Entries that have another name on the other side, where the names themselves say why; taken out."""
    found = []
    if max(len(left), len(right)) > MOST_TOLD:
        return []
    for path, member in list(left.items()):
        folder, _, name = path.rpartition(b"/")
        for other, twin in right.items():
            if other.rpartition(b"/")[0] != folder or twin.entry.kind is not member.entry.kind:
                continue
            seen = explain(text(name), text(other.rpartition(b"/")[2]), clues.at(""))
            if seen.whole and seen.findings:
                found.append(Difference("entry", text(path), "name", text(path), text(other), seen.findings))
                del left[path], right[other]
                found += _moved(path, other, left, right, seen.findings)
                break
    return found


def _moved(
    path: bytes, other: bytes, left: dict[bytes, Member], right: dict[bytes, Member], why: tuple[Finding, ...]
) -> list[Difference]:
    """What lies in a renamed folder has another name with it."""
    found = []
    for inner in [p for p in left if p.startswith(path + b"/")]:
        twin = other + inner[len(path) :]
        if twin in right:
            found.append(Difference("entry", text(inner), "name", text(inner), text(twin), why))
            del left[inner], right[twin]
    return found


def _only(member: Member, side: int, packages: Packages) -> Difference:
    entry = member.entry
    what = f"{entry.size} bytes" if entry.kind is Kind.FILE else str(entry.kind)
    upstream = packages.finding(entry.path)
    finding = upstream or Finding("unexplained", f"only in the {('first', 'second')[side]}: {what}", POSSIBLE)
    shown = (what, "") if side == 0 else ("", what)
    return Difference("entry", text(entry.path) or ".", "presence", *shown, (finding,))
