"""Unpacking: what overlayfs gets to see, and what a stranger's layer cannot do."""

import gzip
import io
import os
import stat
import threading
from contextlib import suppress

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.layers import target as target_of_unpacking
from buildtool.layers import unpack as unpacking
from buildtool.layers.entry import Entry, Kind, hardlink, whiteout
from buildtool.layers.tar import header
from buildtool.layers.unpack import unpack
from tests.support.layers import EPOCH, file, folder, link, snapshot, told, written

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


def archive(*members: tuple[Entry, bytes | None]) -> bytes:
    """An archive in any order, with any names: what a stranger would write."""
    out = b""
    for entry, data in members:
        out += header(entry)
        out += (data or b"") + bytes(-len(data or b"") % 512)
    return out + bytes(1024)


def unpacked(target, data: bytes, lowers=()) -> None:
    target.mkdir(exist_ok=True)
    unpack(io.BytesIO(data), str(target), lowers=[str(p) for p in lowers], expect=sha256(data))


def refused(target, data: bytes, lowers=()) -> str:
    with pytest.raises(BuildError) as caught:
        unpacked(target, data, lowers)
    return caught.value.code


# ---------------------------------------------------------------- what is made


def test_everything_arrives_as_it_was_written(tmp_path):
    first = file(b"d/f", b"data", mode=0o6755, uid=12, gid=34)
    capability = (b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    entries = [
        folder(b"", mode=0o711),
        folder(b"d", mode=0o1777, uid=5, mtime=77),
        first,
        (hardlink(first[0], b"d/g"), None),
        (Entry(b"d/l", Kind.SYMLINK, 0o777, 1, 2, 99, linkname=b"/etc/x"), None),
        (Entry(b"d/p", Kind.FIFO, 0o620, 1, 2, 88), None),
        file(b"d/ping", b"x", xattrs=(capability, (b"trusted.overlay.opaque", b"y"))),
        (Entry(b"d/zero", Kind.CHAR, 0o666, 0, 0, 66, major=1, minor=5), None),
    ]
    entries.sort(key=lambda e: e[0].path)
    before = os.umask(0o077)
    try:
        snapshot(tmp_path / "s", entries)
    finally:
        os.umask(before)
    root = tmp_path / "s"
    assert stat.S_IMODE(root.stat().st_mode) == 0o711
    assert (stat.S_IMODE((root / "d").stat().st_mode), (root / "d").stat().st_uid) == (0o1777, 5)
    assert (root / "d").stat().st_mtime_ns == 77 * 10**9
    status = (root / "d/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_nlink) == (
        0o6755,
        12,
        34,
        2,
    )
    assert status.st_mtime_ns == EPOCH * 10**9
    assert os.lstat(root / "d/l").st_uid == 1
    assert os.lstat(root / "d/l").st_mtime == 99
    assert os.readlink(root / "d/l") == "/etc/x"
    assert stat.S_ISFIFO((root / "d/p").stat().st_mode)
    assert stat.S_IMODE((root / "d/p").stat().st_mode) == 0o620
    assert (root / "d/zero").stat().st_rdev == os.makedev(1, 5)
    assert os.listxattr(root / "d/ping") == ["security.capability"]


def test_parents_that_a_layer_leaves_out_are_those_of_the_tree_below(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"", mode=0o750), folder(b"a", mode=0o700, uid=3, mtime=42)])
    unpacked(tmp_path / "up", archive(file(b"a/b/f")), [low])
    rows = told([tmp_path / "up"])
    assert rows[0].startswith(" dir 750 0:0 315532800")
    assert rows[1].startswith("a dir 700 3:0 42")
    assert rows[2].startswith("a/b dir 755 0:0 0")


def test_whiteouts_become_devices_where_there_is_something_to_hide(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"a"), file(b"a/f"), file(b"a/g"), folder(b"d"), file(b"d/old"), folder(b"e")])
    data = archive(
        (whiteout(b"a/f"), None),
        (whiteout(b"a/never"), None),
        (whiteout(b"no/such/folder"), None),
        folder(b"d"),
        (Entry(b"d", Kind.OPAQUE, 0, 0, 0, 0), None),
        file(b"d/new"),
    )
    unpacked(tmp_path / "up", data, [low])
    assert sorted(os.listdir(tmp_path / "up")) == ["a", "d"]
    assert (tmp_path / "up/a/f").lstat().st_rdev == 0
    assert os.listdir(tmp_path / "up/a") == ["f"]
    assert os.getxattr(tmp_path / "up/d", "trusted.overlay.opaque") == b"y"
    names = [row.split()[0] for row in told([tmp_path / "up", low])[1:]]
    assert names == ["a", "a/g", "d", "d/new", "e"]


def test_a_whiteout_never_hides_a_file_of_its_own_layer(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [file(b"a", b"old"), folder(b"d"), file(b"d/old")])
    data = archive(
        file(b"a", b"new"), (whiteout(b"a"), None), folder(b"d"), file(b"d/new"), (whiteout(b"d"), None)
    )
    unpacked(tmp_path / "up", data, [low])
    names = [row.split()[0] for row in told([tmp_path / "up", low])[1:]]
    assert names == ["a", "d", "d/new"]
    assert (tmp_path / "up/a").read_text() == "new"


def test_a_folder_in_the_place_of_a_whiteout_is_opaque(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"d"), file(b"d/old")])
    unpacked(tmp_path / "up", archive((whiteout(b"d"), None), file(b"d/new")), [low])
    assert [row.split()[0] for row in told([tmp_path / "up", low])[1:]] == ["d", "d/new"]


def test_an_opaque_folder_holds_no_whiteouts(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"d"), folder(b"d/e"), file(b"d/e/x"), file(b"d/f")])
    data = archive(
        (whiteout(b"d/f"), None),
        (whiteout(b"d/e/x"), None),
        (Entry(b"d", Kind.OPAQUE, 0, 0, 0, 0), None),
        (whiteout(b"d/e"), None),
    )
    unpacked(tmp_path / "up", data, [low])
    assert os.listdir(tmp_path / "up/d") == ["e"]
    assert os.listdir(tmp_path / "up/d/e") == []


def test_a_hard_link_to_a_lower_file_copies_it_up(tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"a", mode=0o700), file(b"a/f", b"data", mode=0o4755, uid=9)])
    unpacked(tmp_path / "up", archive((hardlink(file(b"a/f")[0], b"g"), None)), [low])
    assert (tmp_path / "up/g").stat().st_ino == (tmp_path / "up/a/f").stat().st_ino
    assert (tmp_path / "up/g").read_text() == "data"
    assert (tmp_path / "up/g").stat().st_uid == 9
    assert stat.S_IMODE((tmp_path / "up/a").stat().st_mode) == 0o700


def test_a_later_entry_replaces_an_earlier_one(tmp_path):
    data = archive(
        folder(b"a"),
        folder(b"a/b"),
        file(b"a/b/c"),
        link(b"a", b"elsewhere"),
        folder(b"a"),
        file(b"a/d", b"1"),
        file(b"a/d", b"2"),
    )
    unpacked(tmp_path / "up", data)
    assert [row.split()[0] for row in told([tmp_path / "up"])[1:]] == ["a", "a/d"]
    assert (tmp_path / "up/a/d").read_text() == "2"


def test_a_parent_that_is_a_link_of_the_layer_is_followed_inside(tmp_path):
    data = archive(folder(b"usr"), link(b"lib", b"/usr/lib"), file(b"lib/x/f", b"data"))
    unpacked(tmp_path / "up", data)
    assert (tmp_path / "up/usr/lib/x/f").read_text() == "data"
    assert (tmp_path / "up/lib").is_symlink()


def test_a_parent_that_is_a_link_below_is_replaced_by_a_folder(tmp_path):
    snapshot(tmp_path / "low", [link(b"lib", b"/etc"), folder(b"usr")])
    unpacked(tmp_path / "up", archive(file(b"lib/f")), [tmp_path / "low"])
    assert (tmp_path / "up/lib").is_dir()
    assert not (tmp_path / "up/lib").is_symlink()


def test_thousands_of_folders_need_few_descriptors(tmp_path):
    members = [e for n in range(2000) for e in (folder(b"d%04d" % n), file(b"d%04d/f" % n))]
    unpacked(tmp_path / "up", archive(*members))
    assert len(os.listdir(tmp_path / "up")) == 2000


def test_a_device_with_number_zero_acts_as_the_whiteout_that_it_is(tmp_path):
    snapshot(tmp_path / "low", [file(b"f")])
    unpacked(tmp_path / "up", archive((Entry(b"f", Kind.CHAR, 0o600, 0, 0, 0), None)), [tmp_path / "low"])
    assert told([tmp_path / "up", tmp_path / "low"])[1:] == []


# ---------------------------------------------------------------- what is refused


@pytest.fixture
def outside(tmp_path):
    """A folder beside the target that must stay as it is."""
    at = tmp_path / "outside"
    at.mkdir(mode=0o700)
    (at / "secret").write_text("secret")
    (at / "secret").chmod(0o600)
    before = told([at])
    yield at
    assert told([at]) == before


@pytest.mark.parametrize("name", [b"../outside/new", b"a/../../outside/new", b"..", b"/../outside/new"])
def test_a_name_with_dots_is_refused(tmp_path, outside, name):
    assert refused(tmp_path / "up", archive(file(name))) == "unsafe-archive"


def test_an_absolute_name_stays_inside(tmp_path):
    unpacked(tmp_path / "up", archive(file(b"//etc/./x", b"data")))
    assert (tmp_path / "up/etc/x").read_text() == "data"


@pytest.mark.parametrize("target", ["../outside", "../../../../../../../..%s", "%s"])
def test_a_link_as_parent_leads_nowhere_else(tmp_path, outside, target):
    to = os.fsencode(target.replace("%s", str(outside)))
    data = archive(link(b"a", to), file(b"a/secret", b"overwritten"), folder(b"a/made"))
    unpacked(tmp_path / "up", data)
    assert (outside / "secret").read_text() == "secret"


def test_a_link_in_the_place_of_the_root_is_refused(tmp_path, outside):
    for name in (b".", b"/", b"./"):
        entry = link(b"x", os.fsencode(outside))[0]._replace(path=name)
        assert refused(tmp_path / "up", archive((entry, None), file(b"secret", b"x"))) == "unsafe-archive"


def test_metadata_never_goes_through_a_link(tmp_path, outside):
    data = archive(
        link(b"f", os.fsencode(outside / "secret")),
        (Entry(b"f", Kind.SYMLINK, 0o777, 65534, 65534, 1, linkname=os.fsencode(outside / "secret")), None),
        link(b"d", os.fsencode(outside)),
        folder(b"d", mode=0o777, uid=65534, mtime=1),
    )
    unpacked(tmp_path / "up", data)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700
    assert not (tmp_path / "up/d").is_symlink()


def test_writing_to_a_path_that_is_a_link_replaces_the_link(tmp_path, outside):
    data = archive(link(b"f", os.fsencode(outside / "secret")), file(b"f", b"mine"))
    unpacked(tmp_path / "up", data)
    assert (tmp_path / "up/f").read_text() == "mine"


@pytest.mark.parametrize("target", [b"../outside/secret", b"a/../../outside/secret"])
def test_a_hard_link_with_dots_is_refused(tmp_path, outside, target):
    entry = Entry(b"l", Kind.HARDLINK, 0o644, 0, 0, 0, linkname=target)
    assert refused(tmp_path / "up", archive((entry, None))) == "unsafe-archive"


def test_a_hard_link_never_reaches_the_current_folder_or_the_host(tmp_path, outside, monkeypatch):
    monkeypatch.chdir(outside)
    for target in (b"secret", os.fsencode(outside / "secret")):
        entry = Entry(b"l", Kind.HARDLINK, 0o644, 0, 0, 0, linkname=target)
        assert refused(tmp_path / "up", archive((entry, None))) == "unsafe-archive"


def test_a_hard_link_through_a_link_stays_inside(tmp_path, outside):
    entry = Entry(b"l", Kind.HARDLINK, 0o644, 0, 0, 0, linkname=b"d/secret")
    assert refused(tmp_path / "up", archive(link(b"d", b"../outside"), (entry, None))) == "unsafe-archive"


def test_a_hard_link_to_a_folder_is_refused(tmp_path):
    entry = Entry(b"l", Kind.HARDLINK, 0o644, 0, 0, 0, linkname=b"d")
    assert refused(tmp_path / "up", archive(folder(b"d"), (entry, None))) == "unsafe-archive"


def test_a_file_as_parent_is_refused(tmp_path):
    assert refused(tmp_path / "up", archive(file(b"f"), file(b"f/g"))) == "unsafe-archive"


def test_a_loop_of_links_as_parent_is_refused(tmp_path):
    data = archive(link(b"a", b"b"), link(b"b", b"a"), file(b"a/f"))
    assert refused(tmp_path / "up", data) == "too-many-links"


@pytest.mark.parametrize("held_open", [0, 64])
def test_a_folder_swapped_for_a_link_meanwhile_leads_nowhere(tmp_path, outside, monkeypatch, held_open):
    """Another process replaces a folder of the target by a link between any two of our calls."""
    up = tmp_path / "up"
    put = unpacking._Unpacker._put

    def swapping(self, entry, content):
        if entry.path == b"d/e/secret":
            os.rename(up / "d/e", up / "d/moved")
            os.symlink(outside, up / "d/e")
        put(self, entry, content)

    monkeypatch.setattr(unpacking._Unpacker, "_put", swapping)
    monkeypatch.setattr(target_of_unpacking, "MOST_OPEN", held_open)
    data = archive(folder(b"d"), folder(b"d/e"), file(b"d/e/first"), file(b"d/e/secret", b"overwritten"))
    with suppress(BuildError):  # refused, unless the folder was held open: then the file is in it
        unpacked(up, data)
    assert (up / "d/e").is_symlink()
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize("name", [b"", b".", b".."])
def test_a_whiteout_of_no_name_is_refused(tmp_path, name):
    entry = Entry(b"d/.wh." + name, Kind.FILE, 0, 0, 0, 0)
    assert refused(tmp_path / "up", archive((entry, b""))) in ("unsafe-archive", "bad-archive")


def test_overlay_attributes_of_a_layer_are_not_believed(tmp_path):
    snapshot(tmp_path / "low", [folder(b"d"), file(b"d/f")])
    xattrs = ((b"trusted.overlay.opaque", b"y"), (b"trusted.overlay.redirect", b"/etc"))
    data = archive(folder(b"d", xattrs=xattrs), file(b"f", xattrs=((b"trusted.overlay.metacopy", b""),)))
    unpacked(tmp_path / "up", data, [tmp_path / "low"])
    assert os.listxattr(tmp_path / "up/d") == []
    assert os.listxattr(tmp_path / "up/f") == []


def test_aufs_leftovers_are_passed_over(tmp_path):
    unpacked(tmp_path / "up", archive(folder(b".wh..wh.plnk"), file(b".wh..wh.aufs"), file(b"f")))
    assert os.listdir(tmp_path / "up") == ["f"]


def test_other_content_than_the_image_says_is_corrupt(tmp_path):
    data = archive(file(b"f"))
    (tmp_path / "up").mkdir()
    with pytest.raises(BuildError) as caught:
        unpack(io.BytesIO(data), str(tmp_path / "up"), lowers=[], expect=Digest("sha256:" + "0" * 64))
    assert caught.value.code == "corrupt-layer"


def test_what_follows_the_end_counts_for_the_digest(tmp_path):
    data = archive(file(b"f")) + b"trailing" * 1000
    (tmp_path / "up").mkdir()
    packed = gzip.compress(data)
    unpack(io.BytesIO(packed), str(tmp_path / "up"), lowers=[], expect=sha256(data))
    assert (tmp_path / "up/f").exists()


def test_a_layer_of_many_chunks_is_read_ahead_and_whole(tmp_path):
    big = os.urandom(9_000_001)
    entries = [file(b"big", big), file(b"small", b"s")]
    data, layer = written(entries, "gzip")
    (tmp_path / "up").mkdir()
    seen: list[int] = []
    unpack(io.BytesIO(data), str(tmp_path / "up"), lowers=[], expect=layer.diff_id, advance=seen.append)
    assert (tmp_path / "up/big").read_bytes() == big
    assert sum(seen) == layer.size


def test_a_large_layer_that_is_refused_leaves_no_thread(tmp_path):
    before = threading.active_count()
    data = archive(file(b"../x"), file(b"big", os.urandom(20 << 20)))
    assert refused(tmp_path / "up", gzip.compress(data, 1)) == "unsafe-archive"
    assert threading.active_count() == before
