"""Faults: death and errors at every system call that writes, many processes, full disks."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.store import Store
from buildtool.store.check import check
from buildtool.store.collect import sweep

WRITING = ("open", "write", "fsync", "rename", "mkdir", "chmod", "unlink", "symlink", "rmdir", "utime")
DATA = b"layer" * 5000
MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}'
CHAIN = sha256(b"chain")


def small_build(path: str) -> None:
    """All that a build does to a store, in its order."""
    with Store.open(path) as store, store.results.batch():
        layer = store.blobs.put(DATA)
        with store.snapshots.stage() as staged:
            Path(staged.fs, "file").write_bytes(b"x" * 100)
            store.snapshots.adopt(staged, CHAIN)
        store.results.put_layer_blob(layer, "gzip", layer, len(DATA))
        store.results.put("key", "run", b"value")
        store.results.set_ref("app", store.blobs.put(MANIFEST))


def assert_sound(path: str) -> None:
    """Nothing that is visible is wrong, the build can be done again, and nothing is left over."""
    with Store.open(path) as store:
        assert check(store) == []
        if store.results.get("key") is not None:
            assert store.blobs.has(sha256(DATA))
        if store.results.ref("app") is not None:
            assert store.results.get("key") is not None
        if tree := store.snapshots.path(CHAIN):
            assert Path(tree, "file").read_bytes() == b"x" * 100
    small_build(path)
    with Store.open(path) as store:
        sweep(store)
        assert check(store) == []
        assert store.results.ref("app") == sha256(MANIFEST)
        assert store.blobs.read(sha256(DATA), 1 << 20) == DATA
        assert os.listdir(store.tmp) == []


def at_call(number: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do `act` in place of the `number`th system call that writes."""
    count = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return real(*args, **named)

        return call

    for name in WRITING:
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))


def failure(act: Callable[[str], None], path: str) -> BuildError | None:
    try:
        act(path)
    except BuildError as error:
        return error
    return None


def test_death_at_any_call_loses_and_corrupts_nothing(tmp_path: Path) -> None:
    for number in range(1, 200):
        path = str(tmp_path / str(number))
        child = os.fork()
        if child == 0:
            try:
                at_call(number, lambda: os._exit(9), pytest.MonkeyPatch())
                small_build(path)
                os._exit(0)
            finally:
                os._exit(77)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert_sound(path)
        if status == 0:
            assert number > 30
            return
        assert status == 9
    pytest.fail("the build never came to its end")


def test_a_full_disk_at_any_call_is_a_clear_error(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    failed = 0
    for number in range(1, 80):
        path = str(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            at_call(number, full, patch)
            error = failure(small_build, path)
        assert error is None or (error.code == "disk-full" and error.hint)
        failed += error is not None
        assert_sound(path)
    assert failed > 20


@pytest.mark.root
def test_a_file_system_that_is_really_full(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=200", "tmpfs", str(mount)], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("cannot mount here")
    try:
        with Store.open(str(mount / "s")) as store:
            small = store.blobs.put(b"small")
            with pytest.raises(BuildError) as error:
                store.blobs.put(os.urandom(4 << 20))
            assert error.value.code == "disk-full"
            assert list(store.blobs.digests()) == [small]
            store.blobs.put(os.urandom(1 << 20))
            with pytest.raises(BuildError) as error:
                [store.blobs.put(b"%d" % n) for n in range(300)]
            assert error.value.code == "disk-full"
            with pytest.raises(BuildError) as error:
                store.results.put("k", "run", b"v")
            assert error.value.code == "disk-full"
            for digest in list(store.blobs.digests())[:20]:
                store.blobs.remove(digest)
        with Store.open(str(mount / "s")) as store:
            assert store.results.get("k") == b"v"
            assert check(store) == []
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


SHARED = """
import os, random, sys
from pathlib import Path
from buildtool.digest import sha256
from buildtool.store import Store
path, seed = sys.argv[1], int(sys.argv[2])
order = random.Random(seed)
with Store.open(path) as store, store.results.batch():
    for n in order.sample(range(12), 12):
        data = b"%d" % n * 20000
        if not store.blobs.has(sha256(data)):
            store.blobs.put(data)
        chain = sha256(b"chain%d" % n)
        if store.snapshots.path(chain) is None:
            with store.snapshots.stage() as staged:
                Path(staged.fs, "file").write_bytes(data)
                store.snapshots.adopt(staged, chain)
        assert Path(store.snapshots.path(chain), "file").read_bytes() == data
        store.results.put(f"key{n}", "run", data[:10])
        kind = b"application/vnd.oci.image.manifest.v1+json"
        manifest = b'{"schemaVersion":2,"mediaType":"%b","layers":[],"n":%d}' % (kind, n)
        store.results.set_ref(f"app{n}", store.blobs.put(manifest))
        if seed % 3 == 0 and n == 5:
            os.kill(os.getpid(), 9)
"""


def test_many_processes_share_a_store_and_some_are_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    for victims in (True, False):
        seeds = [n for n in range(1, 10) if victims or n % 3]
        running = [subprocess.Popen([sys.executable, "-c", SHARED, path, str(seed)]) for seed in seeds]
        codes = [process.wait(60) for process in running]
        assert codes == [-9 if seed % 3 == 0 else 0 for seed in seeds]
    with Store.open(path) as store:
        assert check(store) == []
        assert len(store.results.refs()) == 12
        assert len(store.results.get_many(f"key{n}" for n in range(12))) == 12
        assert len(store.snapshots.chains()) == 12
        assert sweep(store) == 3
        assert os.listdir(store.tmp) == []
