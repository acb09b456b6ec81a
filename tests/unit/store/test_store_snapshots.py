"""Snapshots: chain ids, staging, adoption, trust within one boot, removal of anything."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, sha256
from buildtool.store import Store, chain_id, snapshots
from buildtool.store.collect import collect, sweep
from buildtool.store.scratch import remove_tree, sweep_scratch

ONE, TWO = sha256(b"one"), sha256(b"two")


def adopt(store: Store, chain: Digest, text: str = "x") -> str:
    with store.snapshots.stage() as staged:
        (Path(staged.fs) / "file").write_text(text)
        return store.snapshots.adopt(staged, chain)


def test_chain_ids_are_those_of_the_specification() -> None:
    assert chain_id(None, ONE) == ONE
    assert chain_id(ONE, TWO) == sha256(f"{ONE} {TWO}".encode())


def test_an_adopted_tree_is_a_snapshot(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        assert store.snapshots.path(ONE) is None
        tree = adopt(store, ONE)
        assert store.snapshots.path(ONE) == tree
        assert (Path(tree) / "file").read_text() == "x"
        assert os.listdir(os.path.dirname(tree)) == ["fs"]
        assert store.snapshots.chains() == [ONE]
        short = store.snapshots.short(ONE)
        assert len(short) < 20
        assert os.path.samefile(f"{store.snapshots.folder}/{short}", tree)


def test_the_first_of_two_wins_and_the_other_is_removed(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        tree = adopt(store, ONE, "first")
        assert adopt(store, ONE, "second") == tree
        assert (Path(tree) / "file").read_text() == "first"
        assert [len(os.listdir(folder)) for folder in Path(store.tmp).iterdir()] == [0]


def test_a_taken_short_name_gives_way_to_the_long_one(tmp_path: Path) -> None:
    twin = Digest(ONE[:30] + "0" * 41)
    with Store.open(str(tmp_path / "s")) as store:
        adopt(store, ONE)
        adopt(store, twin)
        assert store.snapshots.short(twin) == f"{hex_of(twin)}/fs"
        assert store.snapshots.short(ONE).startswith("l/")


def test_what_is_not_adopted_goes(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with suppress(RuntimeError), store.snapshots.stage() as staged:
            (Path(staged.work) / "x").mkdir()
            raise RuntimeError
        assert not os.path.exists(staged.path)


def test_another_boot_trusts_nothing_and_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        tree = adopt(store, ONE)
    monkeypatch.setattr(snapshots, "boot_id", lambda: "another-boot")
    with Store.open(str(tmp_path / "s")) as store:
        assert store.snapshots.path(ONE) is None
        assert os.path.exists(tree)
        assert sweep(store) == 1
        assert not os.path.exists(tree)
        adopt(store, ONE)
        assert store.snapshots.path(ONE) is not None


def test_a_removed_snapshot_is_gone_with_its_link(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        adopt(store, ONE)
        store.snapshots.remove(ONE)
        store.snapshots.remove(TWO)
        assert store.snapshots.chains() == []
        assert os.listdir(f"{store.snapshots.folder}/l") == []


def test_a_tree_too_deep_for_paths_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("directory", dir_fd=fd)
        deeper = os.open("directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    (top / "file").write_text("x")
    remove_tree(str(top))
    assert not top.exists()


def test_removal_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "link").symlink_to(outside)
    (top / "sub/link").symlink_to("../../outside")
    (top / "sub/closed").mkdir(mode=0)
    remove_tree(str(top))
    assert not top.exists()
    assert (outside / "kept").exists()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that an ordinary user can reach, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        yield Path(path)


def as_user(number: int, act: Callable[[], int]) -> int:
    """The exit status of a process of that user that does `act`."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setgroups([])
            os.setgid(number)
            os.setuid(number)
            status = act()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.root
def test_files_of_subordinate_users_need_their_namespace(reachable: Path) -> None:
    """An ordinary user's store holds folders of other users, which only root (of a namespace) can remove."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    home = reachable / "home"
    home.mkdir()
    os.chown(home, 4321, 4321)

    def make() -> int:
        with Store.open(str(home / "s")) as store:
            adopt(store, ONE)
        return 0

    def remove() -> int:
        with Store.open(str(home / "s")) as store:
            try:
                store.snapshots.remove(ONE)
            except BuildError as error:
                return 0 if error.code == "needs-namespace" and store.snapshots.path(ONE) is None else 2
        return 1

    def collect_and_sweep() -> int:
        with Store.open(str(home / "s")) as store:
            collect(store, unused_for=-1)
            return sweep(store)

    assert as_user(4321, make) == 0
    tree = next((home / "s/snapshots").glob("*/*/fs"))
    (tree / "theirs").mkdir(mode=0o755)
    (tree / "theirs/file").write_text("x")
    assert as_user(4321, remove) == 0
    assert as_user(4321, collect_and_sweep) == 0
    assert len(list((home / "s/tmp").iterdir())) == 1
    assert sweep_scratch(str(home / "s/tmp")) == 1
