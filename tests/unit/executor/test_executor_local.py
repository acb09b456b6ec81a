"""Local files: what a listing includes, what its digest covers, and what is noticed."""

import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.executor.local import Listing, scan, unchanged

LATER = 2**62


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "context"
    (top / "src" / "deep").mkdir(parents=True)
    (top / "a.txt").write_text("a\n")
    (top / "src" / "one.py").write_text("1\n")
    (top / "src" / "two.txt").write_text("2\n")
    (top / "src" / "deep" / "three.py").write_text("3\n")
    (top / "empty").mkdir()
    (top / "link").symlink_to("src/one.py")
    (top / "out").symlink_to("/src")
    return top


def listed(folder: Path, *include: str, known: Listing | None = None) -> Listing:
    return scan(str(folder), include, None, known, LATER)


def paths(listing: Listing) -> list[str]:
    return [os.fsdecode(r.path) for r in listing.rows]


def test_all_of_a_folder_in_path_order(folder: Path) -> None:
    everything = [
        "a.txt",
        "empty",
        "link",
        "out",
        "src",
        "src/deep",
        "src/deep/three.py",
        "src/one.py",
        "src/two.txt",
    ]
    assert paths(listed(folder, "")) == everything


def test_one_path_brings_the_folders_above_it(folder: Path) -> None:
    assert paths(listed(folder, "src/one.py")) == ["src", "src/one.py"]


def test_patterns_match_whole_names_at_their_depth(folder: Path) -> None:
    assert paths(listed(folder, "src/*.py")) == ["src", "src/one.py"]
    assert paths(listed(folder, "*/deep")) == ["src", "src/deep", "src/deep/three.py"]


def test_a_link_brings_what_it_leads_to_inside_the_folder(folder: Path) -> None:
    assert paths(listed(folder, "link")) == ["link", "src", "src/one.py"]
    assert paths(listed(folder, "out/two.txt")) == ["out", "src", "src/two.txt"]


def test_nothing_outside_is_reached(folder: Path) -> None:
    (folder.parent / "secret").write_text("s")
    (folder / "up").symlink_to("../secret")
    assert paths(listed(folder, "../secret")) == []
    assert paths(listed(folder, "up")) == ["up"]


def test_a_loop_of_links_is_an_error(folder: Path) -> None:
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    with pytest.raises(BuildError, match="too many links"):
        listed(folder, "x")


def test_the_digest_covers_content_mode_and_targets_but_no_times_or_order(folder: Path) -> None:
    first = listed(folder, "").digest
    os.utime(folder / "a.txt", (1, 1))
    assert listed(folder, "").digest == first
    os.chmod(folder / "a.txt", 0o755)
    second = listed(folder, "").digest
    (folder / "a.txt").write_text("b\n")
    third = listed(folder, "").digest
    (folder / "link").unlink()
    (folder / "link").symlink_to("src/two.txt")
    assert len({first, second, third, listed(folder, "").digest}) == 4


def test_hard_links_are_told_from_copies(folder: Path) -> None:
    (folder / "b.txt").write_text("a\n")
    copies = listed(folder, "").digest
    (folder / "b.txt").unlink()
    os.link(folder / "a.txt", folder / "b.txt")
    linked = listed(folder, "")
    assert linked.digest != copies
    assert [r.first for r in linked.rows if r.path == b"b.txt"] == [b"a.txt"]


def test_names_that_are_not_utf8(folder: Path) -> None:
    name = os.fsencode(folder) + b"/caf\xe9"
    with open(name, "wb") as f:
        f.write(b"x")
    assert b"caf\xe9" in [r.path for r in listed(folder, "").rows]


def test_known_rows_spare_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = listed(folder, "")

    def refuse(*_: object) -> bytes:
        raise AssertionError("a known file was read again")

    monkeypatch.setattr("buildtool.executor.local._content_digest", refuse)
    assert listed(folder, "", known=known) == known


def test_a_file_that_just_changed_is_read_in_any_case(folder: Path) -> None:
    known = listed(folder, "")
    now = os.stat(folder / "a.txt").st_ctime_ns
    forged = Listing("", list(known.rows))
    again = scan(str(folder), ("",), None, forged, now)
    assert again.digest == known.digest


def test_a_change_during_the_build_is_noticed(folder: Path) -> None:
    rows = listed(folder, "").rows
    assert unchanged(os.fsencode(folder), rows) is None
    (folder / "src" / "one.py").write_text("changed\n")
    assert unchanged(os.fsencode(folder), rows) == "src/one.py"
    (folder / "a.txt").unlink()
    assert unchanged(os.fsencode(folder), rows) == "a.txt"


def test_a_large_file_is_read_to_its_end(folder: Path) -> None:
    for size in (1 << 20, (1 << 20) + 1, 3 << 20):
        (folder / "big").write_bytes(b"x" * size)
        first = listed(folder, "big").digest
        with open(folder / "big", "r+b") as f:
            f.seek(size - 1)
            f.write(b"y")
        assert listed(folder, "big").digest != first


def test_a_socket_is_an_empty_file(folder: Path) -> None:
    import socket

    (folder / "nothing").touch()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(folder / "sock"))
        rows = {r.path: r for r in listed(folder, "").rows}
    empty, sock = rows[b"nothing"], rows[b"sock"]
    assert (sock.kind, sock.size, sock.detail) == (empty.kind, 0, empty.detail)
