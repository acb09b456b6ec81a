"""Blobs: atomic puts, verified reads, healing."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, sha256
from buildtool.store import Store
from buildtool.store.stamps import GRANULARITY

NOBODY = Digest("sha256:" + "0" * 64)


def damage(store: Store, digest: Digest, how: str) -> None:
    path = store.blobs.path(digest)
    data = Path(path).read_bytes()
    if how == "flipped":
        Path(path).write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif how == "cut":
        os.truncate(path, len(data) // 2)
    elif how == "empty":
        os.truncate(path, 0)
    else:
        Path(path).write_bytes(data + b"more")


def test_what_is_put_can_be_read_by_another_process(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"hello")
    assert digest == sha256(b"hello")
    with Store.open(str(tmp_path / "s")) as store:
        assert store.blobs.has(digest)
        assert store.blobs.size(digest) == 5
        assert store.blobs.read(digest, 5) == b"hello"
        assert list(store.blobs.digests()) == [digest]
    assert os.listdir(tmp_path / "s/tmp") == []


def test_a_missing_blob_is_told(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        assert not store.blobs.has(NOBODY)
        for act in (store.blobs.size, store.blobs.open, lambda d: store.blobs.read(d, 10)):
            with pytest.raises(BuildError) as error:
                act(NOBODY)
            assert error.value.code == "missing-blob"
        store.blobs.remove(NOBODY)


def test_a_blob_above_the_limit_is_not_read(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"x" * 11)
        with pytest.raises(BuildError) as error:
            store.blobs.read(digest, 10)
    assert error.value.code == "blob-too-large"


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "longer"])
@pytest.mark.parametrize("known_before", [False, True])
def test_a_damaged_blob_is_told_removed_and_heals(tmp_path: Path, how: str, known_before: bool) -> None:
    path = str(tmp_path / "s")
    data = b"content of a layer" * 1000
    with Store.open(path) as store:
        digest = store.blobs.put(data)
        if known_before:
            damage(store, digest, how)
            with pytest.raises(BuildError) as error:
                store.blobs.read(digest, 1 << 20)
    if not known_before:
        with Store.open(path) as store:
            damage(store, digest, how)
            with store.blobs.open(digest) as blob, pytest.raises(BuildError) as error:
                list(iter(lambda: blob.read(1000), b""))
    assert error.value.code == "corrupt-blob"
    assert digest in error.value.message
    with Store.open(path) as store:
        assert not store.blobs.has(digest)
        store.blobs.put(data)
        assert store.blobs.read(digest, 1 << 20) == data


def test_putting_again_heals_what_nobody_noticed(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"hello")
        damage(store, digest, "flipped")
        store.blobs.put(b"hello")
        assert store.blobs.read(digest, 10) == b"hello"


def test_a_reader_does_not_remove_what_another_healed_meanwhile(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store, Store.open(str(tmp_path / "s")) as other:
        digest = store.blobs.put(b"hello")
        damage(other, digest, "flipped")
        with other.blobs.open(digest) as blob:
            store.blobs.put(b"hello")
            with pytest.raises(BuildError):
                blob.read()
        assert other.blobs.read(digest, 10) == b"hello"


def test_an_unexpected_digest_leaves_nothing(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with pytest.raises(BuildError) as error, store.blobs.writer(NOBODY) as out:
            out.write(b"x")
        assert error.value.code == "digest-mismatch"
        assert list(store.blobs.digests()) == []
        assert all(not names for _, _, names in os.walk(store.tmp))


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with suppress(RuntimeError), store.blobs.writer() as out:
            out.write(b"x")
            raise RuntimeError
        assert list(store.blobs.digests()) == []
        assert all(not names for _, _, names in os.walk(store.tmp))


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.binary(max_size=3000), max_size=8))
def test_parts_make_one_blob(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    with Store.open(str(tmp_path_factory.mktemp("s"))) as store:
        with store.blobs.writer(sha256(whole)) as out:
            for part in parts:
                assert out.write(part) == len(part)
        assert (out.digest, out.size) == (sha256(whole), len(whole))
        assert store.blobs.read(out.digest, 1 << 20) == whole


def test_threads_write_side_by_side(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        datas = [bytes([n]) * 50_000 for n in range(16)]
        threads = [threading.Thread(target=store.blobs.put, args=(data,)) for data in datas * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(store.blobs.digests()) == sorted(sha256(data) for data in datas)


def test_a_use_is_noted_only_now_and_then(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"x")
        path = store.blobs.path(digest)
        recent = os.stat(path).st_mtime - GRANULARITY / 2
        os.utime(path, (recent, recent))
        assert store.blobs.has(digest)
        assert os.stat(path).st_mtime == recent
        long_ago = recent - 10 * GRANULARITY
        os.utime(path, (long_ago, long_ago))
        assert store.blobs.has(digest)
        assert os.stat(path).st_mtime > recent


def test_a_file_with_another_name_is_no_blob(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        digest = store.blobs.put(b"x")
        (Path(store.blobs.folder) / "README").write_text("no blob")
        (Path(store.blobs.folder) / (hex_of(digest).upper())).write_text("no blob")
        assert list(store.blobs.digests()) == [digest]
