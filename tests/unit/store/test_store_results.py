"""Results: what is kept, batches, broken files, many processes."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.store import Store
from buildtool.store import results as results_module

ONE, TWO = sha256(b"one"), sha256(b"two")
MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'


def test_results_and_layers_outlive_the_process(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.get("k") is None
        store.results.put("k", "run", b"\0value")
        store.results.put_layer_blob(ONE, "gzip-1", TWO, 42)
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.get("k") == b"\0value"
        assert store.results.layer_blob(ONE, "gzip-1") == (TWO, 42)
        assert store.results.layer_blob(ONE, "zstd-1") is None
        store.results.put("k", "run", b"new")
        assert store.results.get("k") == b"new"


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from buildtool.store import Store\n"
        f"with Store.open({str(tmp_path / 's')!r}) as store: store.blobs.put(b'x')\n"
        "assert 'sqlite3' not in sys.modules and 'msgspec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not (tmp_path / "s/index.sqlite").exists()


def test_many_keys_at_once(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with store.results.batch():
            for n in range(1200):
                store.results.put(f"k{n}", "run", b"%d" % n)
        found = store.results.get_many([*(f"k{n}" for n in range(1200)), "other"])
        assert found == {f"k{n}": b"%d" % n for n in range(1200)}


def test_a_batch_is_seen_at_once_and_kept_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "_COMMIT_EVERY", 1000)
    with Store.open(str(tmp_path / "s")) as store, Store.open(str(tmp_path / "s")) as other:
        with suppress(RuntimeError), store.results.batch():
            store.results.put("k", "run", b"v")
            store.results.put_layer_blob(ONE, "gzip", TWO, 1)
            assert store.results.get("k") == b"v"
            assert store.results.layer_blob(ONE, "gzip") == (TWO, 1)
            assert other.results.get("k") is None
            raise RuntimeError
        assert other.results.get("k") == b"v"


def test_a_long_batch_commits_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "_COMMIT_EVERY", 0)
    path = str(tmp_path / "s")
    with Store.open(path) as store, Store.open(path) as other, store.results.batch():
        store.results.put("k", "run", b"v")
        assert other.results.get("k") == b"v"


@pytest.mark.parametrize("broken", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_index_is_moved_away_and_begun_anew(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/index.sqlite").write_bytes(broken)
    (tmp_path / "s/index.sqlite-journal").write_bytes(b"stale")
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.get("k") is None
        store.results.put("k", "run", b"v")
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.get("k") == b"v"
    assert (tmp_path / "s/index.sqlite.broken").read_bytes() == broken


def test_an_index_that_breaks_under_an_open_store_heals(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with store.results.batch():
            for n in range(500):
                store.results.put(f"k{n}", "run", b"v" * 500)
        size = os.path.getsize(tmp_path / "s/index.sqlite")
        with open(tmp_path / "s/index.sqlite", "r+b") as file:
            file.seek(4096)
            file.write(b"\xee" * (size - 4096))
        store.results.close()
        assert store.results.get("k1") in (None, b"v" * 500)
        store.results.put("k1", "run", b"again")
        assert store.results.get("k1") == b"again"


def test_the_tables_of_another_release_are_replaced(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        store.results.put("k", "run", b"v")
    connection = sqlite3.connect(tmp_path / "s/index.sqlite")
    connection.execute("DROP TABLE results")
    connection.execute("CREATE TABLE results (something TEXT)")
    connection.execute("PRAGMA user_version=999")
    connection.close()
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.get("k") is None
        store.results.put("k", "run", b"v")
        assert store.results.get("k") == b"v"


def test_threads_share_one_connection(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store, store.results.batch():

        def work(n: int) -> None:
            for m in range(20):
                store.results.put(f"{n}-{m}", "run", b"v")
                assert store.results.get(f"{n}-{m}") == b"v"

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.results.get_many(f"{n}-{m}" for n in range(8) for m in range(20))) == 160


def test_refs_are_the_layout_index(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(MANIFEST)
        store.results.set_ref("app:1", digest)
        store.results.set_ref("app:1", digest)
        store.results.set_ref("another", digest)
        assert store.results.refs() == {"another": digest, "app:1": digest}
        assert store.results.ref("app:1") == digest
        assert store.results.ref("app") is None
    (tmp_path / "s/index.sqlite").unlink(missing_ok=True)
    with Store.open(str(tmp_path / "s")) as store:
        assert store.results.ref("app:1") == digest
        store.refs.remove("app:1")
        assert store.results.refs() == {"another": digest}


def test_a_ref_to_nothing_is_refused(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with pytest.raises(BuildError) as error:
            store.results.set_ref("app", ONE)
        assert error.value.code == "missing-blob"
        assert store.results.refs() == {}


@pytest.mark.parametrize("data", [b"", b"[]", b'{"manifests":3}', b'{"manifests":[3]}'])
def test_a_broken_index_json_is_told(tmp_path: Path, data: bytes) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        (tmp_path / "s/index.json").write_bytes(data)
        with pytest.raises(BuildError) as error:
            store.results.refs()
    assert error.value.code == "bad-store-index"
