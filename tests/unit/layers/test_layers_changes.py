"""What a step changed: from a real overlay, from a draft, and that both give the same bytes."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.layers.changes import changes
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Content, Entry, FileContent, Kind, hardlink, whiteout
from buildtool.layers.tree import Stack
from tests.support.layers import EPOCH, Pair, file, folder, link, snapshot, told, written

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


def layer_of(upper: Path | str, *lowers: Path) -> list[tuple[Entry, Content]]:
    with Stack([str(p) for p in lowers]) as below:
        return list(changes(str(upper), below))


def names(entries: list[tuple[Entry, Content]]) -> list[str]:
    marks = {Kind.WHITEOUT: "-", Kind.DIR: "/", Kind.HARDLINK: "=", Kind.FILE: "", Kind.SYMLINK: "@"}
    return [marks[e.kind] + os.fsdecode(e.path) for e, _ in entries]


# ---------------------------------------------------------------- a real overlay


@pytest.fixture
def low(tmp_path) -> Path:
    pairs = [
        folder(b"a"),
        file(b"a/f", b"data"),
        file(b"a/g", b"data"),
        folder(b"d"),
        folder(b"d/e"),
        file(b"d/e/x", b"x"),
        file(b"d/y", b"y"),
        file(b"l1", b"linked"),
        (hardlink(file(b"l1")[0], b"l2"), None),
        link(b"s", b"a/f"),
    ]
    snapshot(tmp_path / "low", pairs)
    return tmp_path / "low"


def run(tmp_path: Path, low: Path, script: str) -> list[tuple[Entry, Content]]:
    """The layer that a shell script makes over `low`, in a real overlay; what it wrote gets the epoch."""
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={low},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    options += ",redirect_dir=off,metacopy=off,index=off"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, str(tmp_path / "merged")], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("cannot mount an overlay here")
    try:
        subprocess.run(["sh", "-euc", script], cwd=tmp_path / "merged", check=True)
    finally:
        subprocess.run(["umount", str(tmp_path / "merged")], check=True)
    for path in sorted((tmp_path / "upper").rglob("*")):
        if path.lstat().st_mtime > 1_600_000_000 and not stat.S_ISCHR(path.lstat().st_mode):
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    return layer_of(tmp_path / "upper", low)


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("true", []),
        ("touch a/new", ["/a", "a/new"]),
        ("rm a/f", ["/a", "-a/f"]),
        ("rm -r d", ["-d"]),
        ("echo more >> a/f", ["/a", "a/f"]),
        ("chmod 600 a/f; chmod 644 a/f", []),
        ("chmod 600 a/f", ["/a", "a/f"]),
        ("printf data > a/f", []),
        ("chmod 700 d", ["/d"]),
        ("rm -r d; mkdir d", ["/d", "-d/e", "-d/y"]),
        ("rm -r d; mkdir -p d/e; printf x > d/e/x; printf y > d/y", []),
        ("rm -r d; mkdir -p d/e; printf z > d/e/z; printf y > d/y", ["/d", "/d/e", "-d/e/x", "d/e/z"]),
        ("mv d moved", ["-d", "/moved", "/moved/e", "moved/e/x", "moved/y"]),
        ("rm -r d; echo file > d", ["d"]),
        ("rm s; mkdir s; touch s/f", ["/s", "s/f"]),
        ("rm a/f; ln -s g a/f", ["/a", "@a/f"]),
        ("ln a/f z", ["/a", "a/f", "=z"]),
        ("touch b; ln b a/b", ["/a", "a/b", "=b"]),
        ("rm l1; touch l1", ["l1"]),
        ("chmod 600 l1; chmod 644 l1", []),
        ("touch gone; rm gone", []),
    ],
)
def test_a_script_over_an_overlay_gives_this_layer(tmp_path, low, script, wanted):
    assert names(run(tmp_path, low, script)) == sorted(wanted, key=_archive_name)


def _archive_name(name: str) -> str:
    path = name.lstrip("-/=@")
    parent, slash, last = path.rpartition("/")
    return f"{parent}{slash}.wh.{last}" if name.startswith("-") else path


def test_two_ways_to_one_tree_are_one_layer(tmp_path, low):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first = written(run(one, low, "rm -r d; mkdir d; printf y > d/y; printf n > d/n"))
    second = written(run(two, low, "printf n > d/n; rm -r d/e"))
    assert first == second


def test_a_socket_is_left_out(tmp_path, low):
    script = "rm a/f; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"a/f\")'"
    assert names(run(tmp_path, low, script)) == ["/a", "-a/f"]


@pytest.mark.parametrize("attribute", ["redirect", "metacopy"])
def test_an_overlay_with_redirects_is_refused(tmp_path, attribute):
    at = tmp_path / "up" / "d"
    at.mkdir(parents=True)
    if attribute == "metacopy":
        at = at / "f"
        at.write_text("")
    os.setxattr(at, f"trusted.overlay.{attribute}", b"/x")
    with pytest.raises(BuildError) as caught:
        layer_of(tmp_path / "up")
    assert caught.value.code == "unsupported-overlay"


def test_attributes_of_the_machine_reach_no_layer(tmp_path):
    (tmp_path / "up").mkdir()
    at = tmp_path / "up" / "f"
    at.write_text("")
    os.setxattr(at, "user.note", b"x")
    os.setxattr(at, "trusted.note", b"x")
    os.setxattr(at, "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    ((entry, _),) = layer_of(tmp_path / "up")
    assert [name for name, _ in entry.xattrs] == [b"security.capability"]


def test_the_root_is_an_entry_only_if_its_mode_or_owner_changed(tmp_path, low):
    (tmp_path / "up").mkdir()
    assert layer_of(tmp_path / "up", low) == []
    (tmp_path / "up").chmod(0o700)
    assert [e.path for e, _ in layer_of(tmp_path / "up", low)] == [b""]


# ---------------------------------------------------------------- drafts


def drafted(*pairs: Pair) -> list[str]:
    with Stack([]) as below:
        draft = LayerDraft(below)
        for entry, content in pairs:
            draft.add(entry, content)
        return names(list(draft.entries()))


def test_hard_links_point_at_the_first_name_whatever_the_order():
    with Stack([]) as below:
        draft = LayerDraft(below)
        draft.add(*file(b"m", b"data"))
        draft.add(hardlink(file(b"m")[0], b"z"))
        draft.add(hardlink(file(b"z")[0], b"a"))
        layer = list(draft.entries())
    assert [(e.path, e.kind, e.linkname) for e, _ in layer] == [
        (b"a", Kind.FILE, b""),
        (b"m", Kind.HARDLINK, b"a"),
        (b"z", Kind.HARDLINK, b"a"),
    ]
    assert layer[0][1] == b"data"


def test_a_name_that_is_replaced_leaves_its_link_group():
    with Stack([]) as below:
        draft = LayerDraft(below)
        draft.add(*file(b"a", b"old"))
        draft.add(hardlink(file(b"a")[0], b"b"))
        draft.add(*file(b"a", b"new"))
        layer = {e.path: (e.kind, c) for e, c in draft.entries()}
    assert layer == {b"a": (Kind.FILE, b"new"), b"b": (Kind.FILE, b"old")}


def test_a_later_file_replaces_and_a_folder_joins():
    assert drafted(folder(b"d"), file(b"d/f"), folder(b"d"), file(b"g"), link(b"g", b"x")) == [
        "/d",
        "d/f",
        "@g",
    ]
    assert drafted(folder(b"d"), file(b"d/f"), file(b"d")) == ["d"]
    assert drafted(folder(b"d"), file(b"d/f"), file(b"d"), folder(b"d")) == ["/d"]
    assert drafted(folder(b"d"), file(b"d/f"), (whiteout(b"d"), None)) == []


def test_a_missing_parent_is_an_error():
    with pytest.raises(BuildError) as caught:
        drafted(file(b"d/f"))
    assert caught.value.code == "not-a-folder"


def test_a_draft_over_a_tree(low):
    with Stack([str(low)]) as below:
        draft = LayerDraft(below)
        draft.add(*file(b"a/f", b"data"))  # as it was
        draft.add(*file(b"a/h", b"new"))
        draft.remove(b"d/e")
        draft.remove(b"never/was")
        assert draft.lookup(b"a/g").size == 4
        assert draft.lookup(b"d/e/x") is None
        assert draft.resolve(b"s") == b"a/f"
        draft.add(*link(b"t", b"s"))
        assert draft.resolve(b"t/../g") == b"a/g"
        assert names(list(draft.entries())) == ["/a", "a/h", "/d", "-d/e", "@t"]


def test_a_folder_that_was_a_file_in_between_hides_what_it_had(low):
    with Stack([str(low)]) as below:
        draft = LayerDraft(below)
        draft.add(*file(b"d", b"file"))
        assert draft.lookup(b"d/y") is None
        draft.add(*folder(b"d"))
        draft.add(*file(b"d/new"))
        assert draft.lookup(b"d/y") is None
        assert names(list(draft.entries())) == ["/d", "-d/e", "-d/y", "d/new"]


def test_a_file_in_the_place_of_a_lower_folder_takes_what_was_added_to_it(low):
    with Stack([str(low)]) as below:
        draft = LayerDraft(below)
        draft.add(*file(b"d/new"))
        draft.add(*file(b"d"))
        assert names(list(draft.entries())) == ["d"]


def test_parents_are_made_or_taken_from_the_tree_below(low):
    with Stack([str(low)]) as below:
        draft = LayerDraft(below)
        draft.add_parents(b"a/b/c/f", mode=0o700, uid=4, gid=5, mtime=6)
        draft.add(*file(b"a/b/c/f"))
        made = {e.path: (e.mode, e.uid, e.gid, e.mtime) for e, _ in draft.entries()}
        assert made[b"a"] == (0o755, 0, 0, EPOCH)
        assert made[b"a/b"] == made[b"a/b/c"] == (0o700, 4, 5, 6)
        with pytest.raises(BuildError) as caught:
            draft.add_parents(b"s/x")
        assert caught.value.code == "not-a-folder"


def test_a_hard_link_to_a_lower_file_brings_it_along(low):
    with Stack([str(low)]) as below:
        draft = LayerDraft(below)
        draft.add(hardlink(file(b"a/f")[0], b"z"))
        layer = list(draft.entries())
        assert names(layer) == ["/a", "a/f", "=z"]
        with pytest.raises(BuildError) as caught:
            draft.add(hardlink(file(b"nothing")[0], b"y"))
        assert caught.value.code == "no-such-file"


def test_a_file_that_differs_in_its_bytes_alone_is_a_change(low, tmp_path):
    (tmp_path / "f").write_bytes(b"DATA")
    with Stack([str(low)]) as below:
        for content, wanted in ((b"DATA", 2), (b"data", 0), (FileContent(str(tmp_path / "f"), None, 4), 2)):
            draft = LayerDraft(below)
            draft.add(file(b"a/f", b"data")[0], content)
            assert len(list(draft.entries())) == wanted


# ---------------------------------------------------------------- the property

NAMES = [b"a", b"a-b", b"a0", b"\xc3\xa9"]
PATHS = [*NAMES, *(a + b"/" + b for a in NAMES for b in NAMES), *(b"a/a/" + c for c in NAMES)]


def _item(path: bytes) -> st.SearchStrategy[Pair]:
    mode = st.sampled_from([0o644, 0o4755, 0o600])
    owner = st.sampled_from([0, 1000, 3_000_000])
    time = st.sampled_from([0, EPOCH])
    plain = st.builds(
        lambda m, o, t, d: (Entry(path, Kind.FILE, m, o, 0, t, len(d)), d),
        mode,
        owner,
        time,
        st.sampled_from([b"", b"x", b"y" * 600]),
    )
    tree = st.builds(lambda m, o, t: (Entry(path, Kind.DIR, m | 0o111, o, 0, t), None), mode, owner, time)
    symlink = st.builds(lambda t: (Entry(path, Kind.SYMLINK, 0o777, 0, 0, t, linkname=b"a/a"), None), time)
    name = st.sampled_from(PATHS).map(lambda p: (Entry(path, Kind.HARDLINK, 0, 0, 0, 0, linkname=p), None))
    gone = st.just((whiteout(path), None))
    return st.one_of(tree, tree, plain, symlink, name, gone)


STEPS = st.lists(st.sampled_from(PATHS).flatmap(_item), max_size=14)


def _apply(draft: LayerDraft, steps: list[Pair]) -> None:
    """Do those of the steps that make sense where they stand."""
    for entry, content in steps:
        parent = entry.path.rpartition(b"/")[0]
        above = draft.lookup(parent) if parent else None
        if parent and (above is None or above.kind is not Kind.DIR):
            continue
        if entry.kind is Kind.HARDLINK:
            first = draft.lookup(entry.linkname)
            if first is None or first.kind is Kind.DIR:
                continue
        draft.add(entry, content)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lower=STEPS, steps=STEPS)
def test_the_same_layer_comes_from_entries_and_from_the_snapshot_they_make(tmp_path, lower, steps):
    for name in ("base", "upper"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    with Stack([]) as nothing:
        draft = LayerDraft(nothing)
        _apply(draft, lower)
        base = list(draft.entries())
    snapshot(tmp_path / "base", base)
    with Stack([]) as nothing:
        assert written(changes(str(tmp_path / "base"), nothing)) == written(base)
    with Stack([str(tmp_path / "base")]) as below:
        draft = LayerDraft(below)
        _apply(draft, steps)
        layer = written(draft.entries())
        snapshot(tmp_path / "upper", draft.entries(), [tmp_path / "base"])
        assert written(changes(str(tmp_path / "upper"), below)) == layer
        rows = told([tmp_path / "upper", tmp_path / "base"])
        paths = [os.fsencode(row.split(" ")[0]) for row in rows]
        assert paths == [p for p in sorted({b"", *PATHS}) if not p or draft.lookup(p) is not None]
