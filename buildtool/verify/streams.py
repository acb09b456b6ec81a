"""Two layers read side by side: which entries differ, and the contents of those that do.

Entries are paired as they come.  Of those that come apart in the two streams digests are kept,
and contents while they are small and few; a second reading brings the others.
"""

import io
from array import array
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from buildtool.layers.tarread import Member
from buildtool.verify.explain import common_start
from buildtool.verify.packages import Packages
from buildtool.verify.subject import Layer, Stream

#: Bytes of the largest file that is held to be taken apart; of a larger one, what differs first.
LARGEST_HELD = 48 << 20
_CHUNK = 1 << 18
#: Bytes of contents that are kept while they wait for their like.
_MOST_WAITING = 24 << 20
#: Bytes of contents that a second reading brings, a side.
_MOST_AGAIN = 64 << 20
#: Entries whose order is compared where it is not the same from first to last.
_MOST_ORDERED = 1_000_000
#: Names that are kept to say where two orders part.
_MOST_NAMES = 100_000


class Contents(NamedTuple):
    """Both contents of a path, or windows of them: `size` is the larger real one, `at` where they begin."""

    first: bytes
    second: bytes
    sizes: tuple[int, int]
    at: int = 0

    @property
    def whole(self) -> bool:
        """Whether these are all bytes of both."""
        return (len(self.first), len(self.second)) == self.sizes


class Pair(NamedTuple):
    """A path of both layers; `contents` where they differ."""

    first: Member
    second: Member
    contents: Contents | None


@dataclass
class Reading:
    """What reading two layers gave besides the pairs; good once they have all been taken."""

    only_first: dict[bytes, Member] = field(default_factory=dict)
    only_second: dict[bytes, Member] = field(default_factory=dict)
    entries: tuple[int, int] = (0, 0)
    newest: list[int] = field(default_factory=lambda: [0, 0])
    digests: tuple[str, str] = ("", "")
    sizes: tuple[int, int] = (0, 0)
    #: Two paths where the orders part, empty if they do not.
    swapped: tuple[bytes, bytes] = (b"", b"")
    packages: Packages = field(default_factory=Packages)


class _Held(NamedTuple):
    member: Member
    digest: bytes
    data: bytes | None


def pairs(first: Layer, second: Layer, reading: Reading) -> Iterator[Pair]:
    """The paths of both layers that differ in metadata or content, in no particular order."""
    walk = _Walk((first.open(), second.open()), reading)
    yield from walk.pairs()
    if walk.again:
        yield from _again(first, second, walk.again)


class _Walk:
    """The first reading."""

    def __init__(self, streams: tuple[Stream, Stream], reading: Reading) -> None:
        self.streams = streams
        self.reading = reading
        self.waiting: tuple[dict[bytes, _Held], dict[bytes, _Held]] = ({}, {})
        self.order = (array("q"), array("q"))
        self.names: dict[int, bytes] = {}
        self.room = _MOST_WAITING
        self.again: dict[bytes, tuple[Member, Member]] = {}

    def pairs(self) -> Iterator[Pair]:
        sides = [iter(stream) for stream in self.streams]
        a, b = self.next(sides, 0), self.next(sides, 1)
        while a is not None or b is not None:
            if a is not None and b is not None and a.entry.path == b.entry.path:
                yield from self.both(a, b)
                a, b = self.next(sides, 0), self.next(sides, 1)
            # Layers are sorted, more or less: the smaller name is the one to go on from.
            elif b is None or (a is not None and a.entry.path < b.entry.path):
                assert a is not None
                yield from self.one(0, a)
                a = self.next(sides, 0)
            else:
                yield from self.one(1, b)
                b = self.next(sides, 1)
        self.finish()

    def next(self, sides: list[Iterator[Member]], side: int) -> Member | None:
        member = next(sides[side], None)
        if member is not None:
            path = member.entry.path
            self.order[side].append(hash(path))
            if len(self.names) < _MOST_NAMES:
                self.names[hash(path)] = path
            self.reading.newest[side] = max(self.reading.newest[side], member.entry.mtime)
        return member

    def both(self, a: Member, b: Member) -> Iterator[Pair]:
        """A path that has come in both streams at once."""
        contents = None
        if a.content is not None and b.content is not None:
            wanted = self.reading.packages.wants(a.entry.path)
            if wanted and max(a.entry.size, b.entry.size) <= LARGEST_HELD:
                one, two = a.content.read(), b.content.read()
                self.reading.packages.learn(a.entry.path, one, two)
                a, b = a._replace(content=io.BytesIO(one)), b._replace(content=io.BytesIO(two))
            assert a.content is not None
            assert b.content is not None
            contents = differing(a.content, b.content, (a.entry.size, b.entry.size))
        if contents is not None or a.entry != b.entry or a.header != b.header or a.records != b.records:
            yield Pair(a._replace(content=None), b._replace(content=None), contents)

    def one(self, side: int, member: Member) -> Iterator[Pair]:
        """A path that has come in one stream: its like came before, or is waited for."""
        path = member.entry.path
        held = self.hold(member)
        other = self.waiting[1 - side].pop(path, None)
        if other is None:
            # A name that comes twice: the later entry is the one that counts.
            self.let_go(self.waiting[side].pop(path, None))
            self.waiting[side][path] = held
            return
        self.let_go(other)
        self.let_go(held)
        first, second = (held, other) if side == 0 else (other, held)
        contents = None
        if first.digest != second.digest:
            if first.data is None or second.data is None:
                self.again[path] = first.member, second.member
                return
            contents = Contents(first.data, second.data, (len(first.data), len(second.data)))
        if contents is not None or first.member != second.member:
            yield Pair(first.member, second.member, contents)

    def hold(self, member: Member) -> _Held:
        kept = member._replace(content=None)
        if member.content is None:
            return _Held(kept, b"", b"")
        if member.entry.size <= min(_CHUNK, self.room):
            data = member.content.read()
            self.room -= len(data)
            if self.reading.packages.wants(member.entry.path):
                self.reading.packages.learn(member.entry.path, data, None)
            return _Held(kept, blake3(data).digest(), data)
        total = blake3()
        while chunk := member.content.read(_CHUNK):
            total.update(chunk)
        return _Held(kept, total.digest(), None)

    def let_go(self, held: _Held | None) -> None:
        if held is not None and held.data is not None:
            self.room += len(held.data)

    def finish(self) -> None:
        reading, (left, right) = self.reading, self.waiting
        reading.only_first = {path: held.member for path, held in left.items()}
        reading.only_second = {path: held.member for path, held in right.items()}
        reading.entries = len(self.order[0]), len(self.order[1])
        reading.digests = self.streams[0].digest, self.streams[1].digest
        reading.sizes = self.streams[0].size, self.streams[1].size
        if self.order[0] == self.order[1] or max(reading.entries) > _MOST_ORDERED:
            return
        alone = {hash(path) for path in (*left, *right)}
        one, two = ([h for h in order if h not in alone] for order in self.order)
        if one != two and sorted(one) == sorted(two):
            parting = next((a, b) for a, b in zip(one, two, strict=True) if a != b)
            reading.swapped = self.names.get(parting[0], b"?"), self.names.get(parting[1], b"?")


def differing(first: BinaryIO, second: BinaryIO, sizes: tuple[int, int]) -> Contents | None:
    """Both contents if they differ, read to their ends; None if they are equal."""
    if sizes[0] != sizes[1]:
        one, two = first.read(LARGEST_HELD), second.read(LARGEST_HELD)
        return _windowed(one, two, sizes)
    before: list[bytes] = []
    done = 0
    while True:
        one, two = first.read(_CHUNK), second.read(_CHUNK)
        if one != two:
            break
        if not one:
            return None
        done += len(one)
        if sizes[0] <= LARGEST_HELD:
            before.append(one)
    if sizes[0] > LARGEST_HELD:
        return Contents(one, two, sizes, done)
    return Contents(b"".join([*before, one, first.read()]), b"".join([*before, two, second.read()]), sizes)


def _windowed(one: bytes, two: bytes, sizes: tuple[int, int]) -> Contents:
    """Contents of different sizes; where one was too large to be read whole, only where they part."""
    if (len(one), len(two)) == sizes:
        return Contents(one, two, sizes)
    at = common_start(one, two)
    return Contents(one[at : at + _CHUNK], two[at : at + _CHUNK], sizes, at)


def _again(first: Layer, second: Layer, wanted: dict[bytes, tuple[Member, Member]]) -> Iterator[Pair]:
    """The second reading: the contents of these paths, as far as there is room for them."""
    left, right = (_gathered(layer, wanted) for layer in (first, second))
    for path, (one, two) in wanted.items():
        sizes = one.entry.size, two.entry.size
        held = path in left and path in right
        yield Pair(one, two, _windowed(left[path], right[path], sizes) if held else Contents(b"", b"", sizes))


def _gathered(layer: Layer, wanted: Container[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    room = _MOST_AGAIN
    for member in layer.open():
        if member.content is not None and member.entry.path in wanted and member.entry.size <= room:
            found[member.entry.path] = member.content.read(LARGEST_HELD)
            room -= len(found[member.entry.path])
    return found
