"""Mount points are made inside the root, whatever links stand in the way, and remembered."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.sandbox.mountpoints import MountPoints


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_makes_parents_and_a_file(root: Path) -> None:
    points = MountPoints(str(root))
    assert points.file("/etc/net/resolv.conf") == "/etc/net/resolv.conf"
    assert points.made == [b"etc", b"etc/net", b"etc/net/resolv.conf"]
    assert (root / "etc/net/resolv.conf").read_bytes() == b""
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o755


def test_what_is_there_is_not_made(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/hosts").write_text("mine")
    points = MountPoints(str(root))
    points.file("/etc/hosts")
    points.folder("/etc")
    assert points.made == []
    assert (root / "etc/hosts").read_text() == "mine"


def test_parents_keep_their_times(root: Path) -> None:
    (root / "etc").mkdir()
    os.utime(root / "etc", ns=(1_000_000_007, 2_000_000_009))
    MountPoints(str(root)).file("/etc/hosts")
    assert (root / "etc").stat().st_mtime_ns == 2_000_000_009


def test_what_is_to_stay_is_not_injected(root: Path) -> None:
    points = MountPoints(str(root))
    points.folder("/proc", keep=True)
    assert points.made == []
    assert (root / "proc").is_dir()


@pytest.mark.root
def test_an_owner_for_what_is_made(root: Path) -> None:
    (root / "srv").mkdir()
    MountPoints(str(root)).folder("/srv/a/b", owner=(7, 8), keep=True)
    assert (root / "srv").stat().st_uid == 0
    assert ((root / "srv/a").stat().st_uid, (root / "srv/a/b").stat().st_gid) == (7, 8)


@pytest.mark.parametrize(
    ("link", "where"),
    [("/outside", "outside/hosts"), ("../../../outside", "outside/hosts"), ("usr/etc", "usr/etc/hosts")],
)
def test_a_linked_folder_stays_inside(root: Path, tmp_path: Path, link: str, where: str) -> None:
    (tmp_path / "outside").mkdir()
    (root / "etc").symlink_to(link)
    points = MountPoints(str(root))
    assert points.file("/etc/hosts") == "/" + where
    assert (root / where).is_file()
    assert os.fsencode(where) in points.made
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_dangling_link_gets_its_target(root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("../run/resolve/stub.conf")
    points = MountPoints(str(root))
    assert points.file("/etc/resolv.conf") == "/run/resolve/stub.conf"
    assert points.made == [b"run", b"run/resolve", b"run/resolve/stub.conf"]
    assert (root / "etc/resolv.conf").is_symlink()


def test_loops_and_files_in_the_way_are_errors(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "file").touch()
    points = MountPoints(str(root))
    for path in ("/a/x", "/file/x"):
        with pytest.raises(BuildError) as caught:
            points.folder(path)
        assert caught.value.code == "bad-mount-point"


_names = st.sampled_from(["a", "b", "c", "..", ".", "", "../..", "/", "/a", "b/../.."])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(links=st.dictionaries(st.sampled_from("abc"), _names, max_size=3), path=st.lists(_names, max_size=5))
def test_nothing_is_ever_made_outside(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: list[str]
) -> None:
    around = tmp_path_factory.mktemp("around")
    root = around / "root"
    root.mkdir()
    for name, target in links.items():
        (root / name).symlink_to(target or ".")
    points = MountPoints(str(root))
    try:
        points.folder("/".join(path))
    except BuildError:
        pass
    assert os.listdir(around) == ["root"]
    for made in points.made:
        assert (root / os.fsdecode(made)).is_dir()
