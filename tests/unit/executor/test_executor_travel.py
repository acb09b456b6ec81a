"""Caches that travel: what a fresh machine takes from them, and that a hostile one does no harm."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from buildtool.diag import BuildError, Warned
from buildtool.digest import Digest, sha256
from buildtool.executor.api import Built
from buildtool.executor.travel import CACHE, Blob, Contents, Ledger, contents_of, write_cache
from buildtool.graph.model import FileOp, LiteralFile, LiteralSource
from buildtool.layers.compression import compression
from buildtool.store import Blobs
from buildtool.tally import Advance
from tests.unit.executor.test_executor_build import Bench, copy


class Shelf:
    """A cache in memory; tests change what it says."""

    name = "the shelf"

    def __init__(self, config: bytes, blobs: dict[Digest, bytes]) -> None:
        self.config = config
        self.blobs = blobs
        self.fetched: list[Digest] = []

    def contents(self) -> Contents:
        return contents_of(self.config, [Blob(d, len(b)) for d, b in self.blobs.items()], self.name)

    def fetch(self, blob: Blob, blobs: Blobs, advance: Advance) -> None:
        self.fetched.append(blob.digest)
        with blobs.writer(blob.digest) as out:
            advance(out.write(self.blobs[blob.digest]), blob.size)

    @property
    def document(self) -> Any:
        return json.loads(self.config)

    def say(self, document: Any) -> None:
        self.config = json.dumps(document).encode()

    def replace_layers(self, data: bytes) -> None:
        """Let every layer be these bytes, by their right digest."""
        document = self.document
        for layer in document["layers"]:
            layer["digest"] = sha256(data)
        self.say(document)
        self.blobs = {sha256(data): data}


class World:
    """Two machines and what they build: two steps below an image, one beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.one = Bench(path / "one")
        self.warnings: list[Warned] = []
        self.told: tuple[int, int, int | None] = (0, 0, None)
        self.built = self.one.build(self.graph(), ledger=(ledger := self.ledger(self.one, whole=True)))
        self.used = ledger.used

    def ledger(self, bench: Bench, *sources: Any, whole: bool = False) -> Ledger:
        return Ledger(bench.store, sources, self.warnings.append, self.telling, whole=whole)

    @contextmanager
    def telling(self, count: int) -> Iterator[Advance]:
        def advance(done: int, total: int | None) -> None:
            self.told = (count, done, total)

        yield advance

    @staticmethod
    def graph(top: bytes = b"top") -> FileOp:
        def literal(name: str, data: bytes) -> LiteralSource:
            return LiteralSource((LiteralFile(name, data, 0o644),))

        beside = copy(literal("beside", b"beside"), ["beside"], "/made/")
        low = copy(literal("low", b"low"), ["low"], "/")
        middle = copy(beside, ["/made/beside"], "/", low)
        return copy(literal("top", top), ["top"], "/", middle)

    def shelf(self, *, whole: bool = True) -> Shelf:
        store = self.one.store
        only = None if whole else {layer.diff_id for layer in self.built.images[0].layers}
        manifest = json.loads(store.blobs.read(write_cache(store, self.used, only, "gzip").digest, 1 << 20))
        assert manifest["config"]["mediaType"] == CACHE
        blobs = {d["digest"]: store.blobs.read(d["digest"], 1 << 30) for d in manifest["layers"]}
        return Shelf(store.blobs.read(manifest["config"]["digest"], 1 << 30), blobs)

    def fresh(self, *sources: Any, top: bytes = b"top") -> tuple[Bench, Built]:
        """A build on a machine that has nothing but these caches."""
        bench = Bench(self.path / f"machine{len(list(self.path.iterdir()))}")
        return bench, bench.build(self.graph(top), ledger=self.ledger(bench, *sources))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_fresh_machine_carries_nothing_out(world: World) -> None:
    shelf = world.shelf()
    assert len(shelf.document["entries"]) == 4
    bench, built = world.fresh(shelf)
    assert (built.executed, built.cached) == (0, 4)
    assert built.images[0].manifest == world.built.images[0].manifest
    # What only other steps needed stays where it is.
    assert sorted(shelf.fetched) == sorted(layer.digest for layer in built.images[0].layers)
    assert world.warnings == []
    size = sum(layer.size for layer in built.images[0].layers)
    assert world.told == (3, size, size)
    # Without the cache, what was not fetched is made, and the rest is a result like any other.
    again = bench.build(world.graph())
    assert (again.executed, again.cached) == (1, 3)
    assert again.images[0].manifest == built.images[0].manifest


def test_only_what_changed_is_carried_out(world: World) -> None:
    shelf = world.shelf()
    _, built = world.fresh(shelf, top=b"other")
    assert (built.executed, built.cached) == (1, 3)
    _, alone = world.fresh(top=b"other")
    assert built.images[0].manifest == alone.images[0].manifest


def test_the_smaller_mode_has_the_layers_of_the_image(world: World) -> None:
    shelf = world.shelf(whole=False)
    assert (len(shelf.document["entries"]), len(shelf.document["layers"])) == (4, 3)
    _, built = world.fresh(shelf)
    assert (built.executed, built.images[0].manifest) == (0, world.built.images[0].manifest)
    _, built = world.fresh(shelf, top=b"other")
    assert (built.executed, built.cached) == (1, 3)


def test_a_layer_that_the_cache_does_not_hold_is_made_when_it_is_needed(world: World) -> None:
    shelf = world.shelf(whole=False)
    document = shelf.document
    # The step in the middle takes a file of the step beside it, whose layer is not in the cache.
    middle = [e for e in document["entries"] if e["result"][0] == world.built.images[0].layers[1].diff_id]
    document["entries"] = [e for e in document["entries"] if e not in middle]
    assert len(document["entries"]) == 3
    shelf.say(document)
    bench, built = world.fresh(shelf)
    assert built.images[0].manifest == world.built.images[0].manifest
    assert [title for title, cached in bench.watch.done[-4:] if not cached] == ["COPY /made/", "COPY /"]
    assert (world.warnings, bench.watch.warnings) == ([], [])


def test_the_same_results_are_the_same_cache(world: World) -> None:
    first = write_cache(world.one.store, world.used, None, "gzip")
    backwards = dict(reversed(world.used.items()))
    assert write_cache(world.one.store, backwards, None, "gzip") == first


def test_a_build_without_misses_opens_no_cache(world: World) -> None:
    class Closed(Shelf):
        def contents(self) -> Contents:
            raise AssertionError("opened")

    ledger = world.ledger(world.one, Closed(b"", {}))
    assert world.one.build(world.graph(), ledger=ledger).executed == 0


# ---------------------------------------------------------------- hostile caches


def harmless(world: World, *shelves: Any, warned: bool = True) -> None:
    bench, built = world.fresh(*shelves)
    assert built.images[0].manifest == world.built.images[0].manifest
    for layer in built.images[0].layers:
        assert sha256(bench.store.blobs.read(layer.digest, 1 << 30)) == layer.digest
    assert bool(world.warnings) == warned
    assert {w.code for w in world.warnings} <= {"cache-unusable"}


def test_layers_with_other_bytes(world: World) -> None:
    shelf = world.shelf()
    shelf.blobs = {digest: data[:-1] + b"x" for digest, data in shelf.blobs.items()}
    harmless(world, shelf)


def test_layers_that_are_others(world: World) -> None:
    shelf = world.shelf()
    shelf.replace_layers(gzip.compress(b"evil" * 100))
    harmless(world, shelf)


def test_layers_that_are_no_archives(world: World) -> None:
    shelf = world.shelf()
    shelf.replace_layers(gzip.compress(b"x" * 1000)[:-9])
    harmless(world, shelf)


def test_layers_that_grow_beyond_proportion(world: World) -> None:
    shelf = world.shelf()
    shelf.replace_layers(zstandard.ZstdCompressor().compress(bytes(300 << 20)))
    harmless(world, shelf)


def test_layers_that_are_not_there(world: World) -> None:
    class Empty(Shelf):
        def fetch(self, blob: Blob, blobs: Blobs, advance: Advance) -> None:
            raise BuildError("missing-blob", "it is gone")

    shelf = world.shelf()
    harmless(world, Empty(shelf.config, shelf.blobs))


def test_many_bad_caches(world: World) -> None:
    shelves = []
    for _ in range(8):
        shelves.append(world.shelf())
        shelves[-1].replace_layers(gzip.compress(b"evil"))
    harmless(world, *shelves)


def test_a_good_cache_behind_a_bad_one(world: World) -> None:
    bad, good = world.shelf(), world.shelf()
    bad.replace_layers(gzip.compress(b"evil"))
    _, built = world.fresh(bad, good)
    assert (built.executed, built.images[0].manifest) == (0, world.built.images[0].manifest)
    assert [w.code for w in world.warnings] == ["cache-unusable"]


def test_a_blob_of_ours_is_not_taken_for_another_layer(world: World, tmp_path: Path) -> None:
    shelf = world.shelf()
    bench = Bench(tmp_path / "two")
    data = gzip.compress(b"ours")
    bench.store.blobs.put(data)
    shelf.replace_layers(data)
    built = bench.build(world.graph(), ledger=world.ledger(bench, shelf))
    assert built.images[0].manifest == world.built.images[0].manifest
    assert bench.store.blobs.has(sha256(data))


Change = Callable[[Any], object]


def _each(field: str, **values: Any) -> Change:
    return lambda document: [item.update(values) for item in document[field]]


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (lambda d: d.update(format=2), True),
        (lambda d: d.pop("entries"), True),
        (_each("entries", result=[1, 2, 3]), True),
        (_each("entries", result=["sha256:../../x", 1, True]), True),
        (_each("entries", result=["sha256:" + "0" * 64, 1, True]), False),
        (_each("entries", key="0" * 64), False),
        (_each("layers", diffId="sha256:../../x"), True),
        (_each("layers", digest="sha256:" + "0" * 64), False),
        (_each("layers", by="gzip: another library"), False),
        (_each("layers", form="lz4"), False),
        (_each("layers", form=7), True),
    ],
)
def test_documents_that_say_something_else(change: Change, warned: bool, world: World) -> None:
    shelf = world.shelf()
    document = shelf.document
    change(document)
    shelf.say(document)
    harmless(world, shelf, warned=warned)


@pytest.mark.parametrize("config", [b"", b"{", b"[]", b"[" * 100_000, base64.b64encode(bytes(99)), b"\xff"])
def test_documents_that_are_none(config: bytes, world: World) -> None:
    shelf = world.shelf()
    shelf.config = config
    harmless(world, shelf)


def test_the_compressor_is_named_to_the_letter(world: World) -> None:
    assert {layer["by"] for layer in world.shelf().document["layers"]} == {str(compression("gzip"))}
