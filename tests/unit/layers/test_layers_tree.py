"""The merged view of snapshots: overlayfs' rules, links that stay inside, order."""

import os
import stat

import pytest

from buildtool.diag import BuildError
from buildtool.layers.entry import FileContent, Kind
from buildtool.layers.tree import Stack

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def stack(tmp_path):
    """`low` under `mid` under `top`."""
    low, mid, top = (tmp_path / name for name in ("low", "mid", "top"))
    (low / "a/deep/er").mkdir(parents=True)
    (low / "a/deep/er/file").write_text("low")
    (low / "a/kept").write_text("low")
    (low / "a/hidden").write_text("low")
    (low / "dir").mkdir()
    (low / "dir/below").write_text("low")
    (low / "file").write_text("low")
    (low / "opaque").mkdir()
    (low / "opaque/below").write_text("low")
    (mid / "a/deep").mkdir(parents=True)
    os.mknod(mid / "a/hidden", stat.S_IFCHR, 0)
    (mid / "a-b").write_text("mid")
    (mid / "dir").write_text("a file where there was a folder")
    (mid / "file").mkdir()
    (mid / "opaque").mkdir()
    os.setxattr(mid / "opaque", "trusted.overlay.opaque", b"y")
    (top / "a").mkdir(parents=True)
    (top / "a/kept").write_text("top")
    with Stack([str(top), str(mid), str(low)]) as opened:
        yield opened


def test_the_topmost_snapshot_that_has_a_path_gives_it(stack):
    fd = stack.open(b"a/kept")
    assert os.read(fd, 9) == b"top"
    os.close(fd)
    assert stack.lookup(b"a/deep/er/file").is_file
    assert stack.lookup(b"a/hidden") is None
    assert stack.lookup(b"opaque/below") is None
    assert stack.lookup(b"dir").is_file
    assert stack.lookup(b"dir/below") is None
    assert stack.lookup(b"file").is_dir
    assert stack.lookup(b"missing/way/down") is None
    assert stack.lookup(b"x" * 300) is None


def test_lists_are_merged_and_sorted(stack):
    assert stack.list(b"") == [b"a", b"a-b", b"dir", b"file", b"opaque"]
    assert stack.list(b"a") == [b"deep", b"kept"]
    assert stack.list(b"opaque") == []
    assert stack.list(b"dir") == []


def test_a_walk_goes_in_the_order_of_a_layer(stack):
    paths = [path for path, _ in stack.walk()]
    assert paths == sorted(paths)
    assert paths[:4] == [b"", b"a", b"a-b", b"a/deep"]
    assert [path for path, _ in stack.walk(b"a/deep")] == [b"a/deep", b"a/deep/er", b"a/deep/er/file"]
    assert list(stack.walk(b"missing")) == []
    assert [path for path, _ in stack.walk(b"dir")] == [b"dir"]


def test_no_snapshots_are_an_empty_root():
    with Stack([]) as stack:
        assert stack.lookup(b"") is None
        assert stack.lookup(b"etc/passwd") is None
        assert list(stack.walk()) == []


def test_nodes_tell_what_a_layer_needs(tmp_path):
    (tmp_path / "f").write_bytes(b"data")
    os.chown(tmp_path / "f", 7, 8)
    os.chmod(tmp_path / "f", 0o4711)
    os.utime(tmp_path / "f", ns=(0, 5_900_000_000))
    os.link(tmp_path / "f", tmp_path / "g")
    os.symlink("../x", tmp_path / "l")
    with Stack([str(tmp_path)]) as stack:
        node = stack.lookup(b"f")
        assert node.entry(b"other/name")[:7] == (b"other/name", Kind.FILE, 0o4711, 7, 8, 5, 4)
        assert node.inode == stack.lookup(b"g").inode
        content = node.content()
        assert isinstance(content, FileContent)
        assert content.size == 4
        assert stack.lookup(b"l").entry().linkname == b"../x"
        assert stack.lookup(b"l").content() is None


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"usr/bin/sh", b"usr/bin/sh"),
        (b"bin/sh", b"usr/bin/sh"),
        (b"/bin//./sh", b"usr/bin/sh"),
        (b"chain/sh", b"usr/bin/sh"),
        (b"up/etc", b"etc"),
        (b"../../etc", b"etc"),
        (b"absolute/x", b"etc/x"),
        (b"dangling", b"no/where"),
        (b"bin/../..", b""),
        (b"usr/bin/sh/..", b"usr/bin"),
    ],
)
def test_links_are_resolved_inside_the_root(tmp_path, path, target):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/sh").write_text("")
    (tmp_path / "etc").mkdir()
    for name, to in {
        "bin": "usr/bin",
        "chain": "bin",
        "up": "../../../..",
        "absolute": "/etc",
        "dangling": "/no/where",
    }.items():
        os.symlink(to, tmp_path / name)
    with Stack([str(tmp_path)]) as stack:
        assert stack.resolve(path) == target


def test_the_last_link_can_be_left_alone(tmp_path):
    os.symlink("/etc", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with Stack([str(tmp_path)]) as stack:
        assert stack.resolve(b"b", follow_last=False) == b"b"
        assert stack.resolve(b"b/x", follow_last=False) == b"etc/x"


def test_a_loop_of_links_is_an_error(tmp_path):
    os.symlink("b", tmp_path / "a")
    os.symlink("a", tmp_path / "b")
    with Stack([str(tmp_path)]) as stack, pytest.raises(BuildError) as caught:
        stack.resolve(b"a/x")
    assert caught.value.code == "too-many-links"


def test_opening_follows_no_link(tmp_path):
    os.symlink("/etc/passwd", tmp_path / "a")
    with Stack([str(tmp_path)]) as stack, pytest.raises(BuildError) as caught:
        stack.open(b"a")
    assert caught.value.code == "no-such-file"


def test_the_user_prefix_is_for_user_namespaces(tmp_path):
    (tmp_path / "top/d").mkdir(parents=True)
    (tmp_path / "low/d").mkdir(parents=True)
    (tmp_path / "low/d/f").write_text("")
    os.setxattr(tmp_path / "top/d", "user.overlay.opaque", b"y")
    lowers = [str(tmp_path / "top"), str(tmp_path / "low")]
    with Stack(lowers, "user") as user, Stack(lowers, "trusted") as trusted:
        assert user.list(b"d") == []
        assert trusted.list(b"d") == [b"f"]
