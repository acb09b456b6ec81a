"""Collection and checking: what goes, what stays, what is told."""

import os
import time
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.store import Store
from buildtool.store.check import Problem, check
from buildtool.store.collect import Collected, collect, sweep
from buildtool.store.stamps import SAFE_AGE

CHAIN = sha256(b"chain")


def image(store: Store) -> tuple[Digest, Digest]:
    """A manifest of one layer, stored; the digests of both."""
    layer = store.blobs.put(b"layer")
    manifest = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        f'"layers":[{{"digest":"{layer}"}}]}}'
    )
    return store.blobs.put(manifest.encode()), layer


def age(path: str, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_old_things_without_a_name_go(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        manifest, layer = image(store)
        store.results.set_ref("app", manifest)
        old, young = store.blobs.put(b"old"), store.blobs.put(b"young")
        for digest in (manifest, layer, old):
            age(store.blobs.path(digest), 2 * SAFE_AGE)
        with store.snapshots.stage() as staged:
            tree = store.snapshots.adopt(staged, CHAIN)
        age(os.path.dirname(tree), 2 * SAFE_AGE)
        store.results.put("stale", "run", b"v")
        store.results.put("used", "run", b"v")
        store.results.put_layer_blob(layer, "gzip", old, 3)
        store.results.database.write(
            [("UPDATE results SET used = ? WHERE key = ?", [(time.time() - 2 * SAFE_AGE, "stale")])]
        )
        gone = collect(store, unused_for=SAFE_AGE)
        assert gone == Collected(blobs=1, bytes=3, snapshots=1, results=1)
        assert list(store.blobs.digests()) == sorted([manifest, layer, young])
        assert store.snapshots.path(CHAIN) is None
        assert store.results.get_many(["stale", "used"]) == {"used": b"v"}
        assert store.results.layer_blob(layer, "gzip") is None
        assert check(store) == []


def test_looking_something_up_saves_it(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"x")
        age(store.blobs.path(digest), 2 * SAFE_AGE)
        store.results.put("k", "run", b"v")
        store.results.database.write([("UPDATE results SET used = 0", [()])])
        with Store.open(str(tmp_path / "s")) as build:
            assert build.blobs.has(digest)
            assert build.results.get("k") == b"v"
        assert collect(store, unused_for=SAFE_AGE) == Collected()
        assert store.blobs.has(digest)


def test_collecting_young_things_needs_the_store_alone(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"x")
        with Store.open(str(tmp_path / "s")):
            with pytest.raises(BuildError) as error:
                collect(store, unused_for=0)
            assert error.value.code == "store-busy"
            assert store.blobs.has(digest)
        assert collect(store, unused_for=-1).blobs == 1
        assert not store.blobs.has(digest)


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with Store.open(path) as store, store.snapshots.stage() as staged:
        child = os.fork()
        if child == 0:
            with Store.open(path) as other, other.snapshots.stage() as theirs:
                os.mkdir(f"{theirs.fs}/deep")
                os._exit(0)
        os.waitpid(child, 0)
        assert len(os.listdir(store.tmp)) == 2
        assert sweep(store) == 1
        assert os.path.isdir(staged.fs)
        assert sweep(store) == 0


def test_check_tells_everything_that_is_wrong(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        manifest, layer = image(store)
        store.results.set_ref("app", manifest)
        bad = store.blobs.put(b"to be damaged")
        Path(store.blobs.path(bad)).write_bytes(b"damaged")
        Path(store.blobs.folder, "notes").write_text("")
        store.results.put_layer_blob(CHAIN, "gzip", layer, 5)
        store.blobs.remove(layer)
        found = check(store)
        assert [(p.code, p.subject) for p in found] == [
            ("corrupt-blob", bad),
            ("stray-file", "blobs/sha256/notes"),
            ("dangling-ref", "app"),
            ("dangling-layer", CHAIN),
        ]
        assert Problem("dangling-ref", "app", f"{layer} is missing") in found
        assert not store.blobs.has(bad)
