"""Caches: who has a folder when, how it is filled, and when it goes."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.store import Store
from buildtool.store.collect import collect

NAME = "a" * 64


def never() -> bool:
    return False


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


def test_a_folder_is_filled_once_and_kept(store: Store) -> None:
    filled: list[str] = []

    def fill(path: str) -> None:
        os.mkdir(path)
        filled.append(path)

    for _ in range(2):
        with store.caches.hold(NAME, "shared", fill, never) as folder:
            Path(folder, str(len(os.listdir(folder)))).touch()
    assert len(filled) == 1
    assert sorted(os.listdir(folder)) == ["0", "1"]


def test_a_folder_that_could_not_be_filled_is_not_there(store: Store) -> None:
    def fail(path: str) -> None:
        os.mkdir(path)
        raise BuildError("disk-full", "no room")

    with pytest.raises(BuildError, match="no room"), store.caches.hold(NAME, "locked", fail, never):
        pass
    with store.caches.hold(NAME, "locked", os.mkdir, never) as folder:
        assert os.listdir(folder) == []


def test_who_shares_has_it_together_and_who_wants_it_private_gets_another(store: Store) -> None:
    hold = store.caches.hold
    with hold(NAME, "shared", os.mkdir, never) as one, hold(NAME, "shared", os.mkdir, never) as two:
        assert one == two
        with hold(NAME, "private", os.mkdir, never) as three, hold(NAME, "private", os.mkdir, never) as four:
            assert len({one, three, four}) == 3
    with hold(NAME, "private", os.mkdir, never) as again:
        assert again == one


@pytest.mark.parametrize("others", ["shared", "locked", "private"])
def test_who_locks_waits_for_all_others(store: Store, others: str) -> None:
    order: list[str] = []
    began = threading.Event()

    def other() -> None:
        with store.caches.hold(NAME, others, os.mkdir, never):  # type: ignore[arg-type]
            began.set()
            time.sleep(0.1)
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    began.wait()
    with store.caches.hold(NAME, "locked", os.mkdir, never):
        order.append("locked")
    thread.join()
    assert order == ["other", "locked"]


def test_a_cache_begins_again_where_that_ends_well(store: Store) -> None:
    hold, anew = store.caches.hold, store.caches.anew
    with hold(NAME, "shared", os.mkdir, never) as old:
        Path(old, "old").touch()
    with pytest.raises(FileNotFoundError), anew(NAME, os.mkdir) as failed:
        Path(failed, "no-folder", "file").touch()
    with hold(NAME, "shared", os.mkdir, never) as used, anew(NAME, os.mkdir) as beside:
        assert os.listdir(beside) == []
        Path(beside, "beside").touch()
    assert os.listdir(used) == ["old"]
    with anew(NAME, os.mkdir) as new:
        Path(new, "new").touch()
    with hold(NAME, "locked", os.mkdir, never) as now:
        assert os.listdir(now) == ["new"]
    assert not any(os.path.exists(path) for path in (failed, beside, new))
    with anew("b" * 64, os.mkdir) as first:
        Path(first, "first").touch()
    with hold("b" * 64, "private", os.mkdir, never) as kept:
        assert os.listdir(kept) == ["first"]


def test_a_wait_can_be_given_up(store: Store) -> None:
    hold = store.caches.hold
    with (
        hold(NAME, "locked", os.mkdir, never),
        pytest.raises(BuildError) as caught,
        hold(NAME, "shared", os.mkdir, lambda: True),
    ):
        pass
    assert caught.value.code == "cancelled"


def test_two_that_share_fill_it_once(store: Store) -> None:
    filled: list[str] = []
    seen: set[tuple[str, int]] = set()

    def fill(path: str) -> None:
        time.sleep(0.05)
        os.mkdir(path)
        filled.append(path)

    def use() -> None:
        with store.caches.hold(NAME, "shared", fill, never) as folder:
            seen.add((folder, os.stat(folder).st_ino))

    threads = [threading.Thread(target=use) for _ in range(4)]
    run_all(threads)
    assert len(filled) == len(seen) == 1


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def aged(folder: str) -> None:
    os.utime(os.path.dirname(folder), (1, 1))


@pytest.mark.parametrize(("age", "goes"), [(aged, True), (lambda folder: None, False)])
def test_collection_takes_what_nobody_used_for_long(
    store: Store, age: Callable[[str], None], goes: bool
) -> None:
    with store.caches.hold(NAME, "shared", os.mkdir, never) as folder:
        Path(folder, "file").touch()
    age(folder)
    assert collect(store).caches == int(goes)
    assert os.path.exists(folder) is not goes


def test_collection_takes_nothing_that_is_in_use(store: Store) -> None:
    with store.caches.hold(NAME, "shared", os.mkdir, never) as folder:
        aged(folder)
        assert collect(store).caches == 0
        assert os.path.isdir(folder)


def test_a_cache_that_went_while_somebody_waited_is_made_again(store: Store) -> None:
    with store.caches.hold(NAME, "locked", os.mkdir, never) as folder:
        pass
    os.rename(os.path.dirname(folder), store.caches.root + "/gone")
    with store.caches.hold(NAME, "locked", os.mkdir, never) as again:
        assert again == folder
