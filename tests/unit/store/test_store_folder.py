"""The store's folder: where it is, what it is made of, whose it is."""

import json
import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.store import Store
from buildtool.store.folder import default_path


def test_the_default_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDTOOL_STORE", "/chosen")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_path() == "/chosen"
    monkeypatch.delenv("BUILDTOOL_STORE")
    assert default_path() == "/cache/buildtool/store"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_path() == "/home/me/.cache/buildtool/store"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    assert default_path().endswith("/.cache/buildtool/store")
    assert default_path().startswith("/")


def test_a_new_store_is_an_empty_image_layout(tmp_path: Path) -> None:
    Store.open(str(tmp_path / "deep/er/s")).close()
    folder = tmp_path / "deep/er/s"
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((folder / "index.json").read_bytes())["manifests"] == []
    assert (folder / "blobs/sha256").is_dir()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_come_from_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with Store.open(str(tmp_path / "s")) as store, store.snapshots.stage() as staged:
            modes = {p: os.stat(p).st_mode & 0o7777 for p in (store.path, store.tmp, staged.path, staged.fs)}
    finally:
        os.umask(before)
    assert list(modes.values()) == [0o700, 0o700, 0o700, 0o755]


def test_a_staged_folder_inherits_no_group(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o2755)
    with Store.open(str(above / "s")) as store, store.snapshots.stage() as staged:
        assert os.stat(staged.fs).st_mode & 0o7777 == 0o755
        assert os.stat(staged.fs).st_gid == os.getegid()


@pytest.mark.root
def test_the_store_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    Store.open(str(tmp_path / "s")).close()
    for path in [tmp_path / "s", *(tmp_path / "s").rglob("*")]:
        os.chown(path, 4321, 4321)
    with pytest.raises(BuildError) as error:
        Store.open(str(tmp_path / "s"))
    assert error.value.code == "foreign-store"
    assert "BUILDTOOL_STORE" in error.value.hint


def test_a_file_in_the_place_of_the_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(BuildError) as error:
        Store.open(str(tmp_path / "s"))
    assert error.value.code == "store-fault"
    assert "opening the store" in error.value.message


def test_only_one_store_can_be_alone(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s")) as store:
        with Store.open(str(tmp_path / "s")) as other:
            assert not store.alone()
            assert not other.alone()
        assert store.alone()
