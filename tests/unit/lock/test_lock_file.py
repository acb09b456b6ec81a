"""The lock as a file: what is written is read again, and what was damaged is told with its line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError, render
from buildtool.digest import Digest, sha256
from buildtool.lock import instant
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import Lock, ReleasePin, pins_of
from buildtool.lock.read import loads, read
from buildtool.lock.write import dumps, write

Golden = Callable[[str, str], None]


def package(name: str, version: str = "1.0", *, essential: bool = False) -> DebianPackage:
    return DebianPackage(
        name=name,
        version=version,
        architecture="amd64",
        archive="debian",
        path=f"pool/main/{name[0]}/{name}/{name}_{version}_amd64.deb",
        size=1000 + len(name),
        digest=sha256(name.encode()),
        essential=essential,
    )


def request(name: str = "//base:root", *packages: str, keyring: bytes | None = None) -> DebianRequest:
    return DebianRequest(
        name, ("bookworm", "bookworm-security"), ("main",), "amd64", packages, keyring=keyring
    )


RELEASES = (
    ReleasePin("debian", "bookworm", 1_700_000_000, sha256(b"1")),
    ReleasePin("debian-security", "bookworm-security", 1_700_000_100, sha256(b"2")),
)
ROOT = request("//base:root", "python3", "ca-certificates")
OTHER = request("//base:other", keyring=b"key")
LOCK = Lock(
    clock=1_783_765_031,
    images={"ubuntu:20.04 linux/amd64": sha256(b"u"), "alpine linux/arm64": sha256(b"a")},
    debian={
        ROOT.id: pins_of(
            ROOT, RELEASES, (package("libc6", essential=True), package("apt"), package("python3"))
        ),
        OTHER.id: pins_of(OTHER, (), ()),
    },
)


def test_the_text(golden: Golden) -> None:
    golden("lock/full.lock", dumps(LOCK))
    golden("lock/empty.lock", dumps(Lock()))


def test_what_is_written_is_read() -> None:
    assert loads(dumps(LOCK).encode(), "x") == LOCK
    assert loads(dumps(Lock()).encode(), "x") == Lock()


def test_the_order_of_filling_does_not_matter() -> None:
    turned = Lock(
        clock=LOCK.clock,
        images=dict(reversed(LOCK.images.items())),
        debian=dict(reversed(LOCK.debian.items())),
    )
    assert dumps(turned) == dumps(LOCK)


def test_a_new_pin_is_a_new_line() -> None:
    more = Lock(
        clock=LOCK.clock, images={**LOCK.images, "debian:12 linux/amd64": sha256(b"d")}, debian=LOCK.debian
    )
    old, new = dumps(LOCK).splitlines(), dumps(more).splitlines()
    assert [row for row in new if row not in old] == [f'"debian:12 linux/amd64" = "{sha256(b"d")}"']
    assert len(new) == len(old) + 1


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)


@given(st.dictionaries(NAMES, st.just(sha256(b"")), max_size=4), st.integers(0, 253402300799))
def test_any_name_and_instant_survives(images: dict[str, Digest], clock: int) -> None:
    lock = Lock(clock=clock, images=images)
    assert loads(dumps(lock).encode(), "x") == lock


@given(st.integers(0, 253402300799))
def test_instants(seconds: int) -> None:
    assert instant.parse(instant.spell(seconds)) == seconds


@pytest.mark.parametrize("text", ["2026-07-11", "2026-07-11T10:16:37+02:00", "2026-13-11T10:16:37Z", ""])
def test_other_spellings_of_instants_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        instant.parse(text)


TEXT = dumps(LOCK)
PYTHON = next(row for row in TEXT.splitlines() if '"python3 1.0' in row)
#: A name, what is replaced in the text, and by what.
DAMAGED = {
    "conflict": ("clock = ", "<<<<<<< ours\nclock = "),
    "conflict-in-list": (PYTHON, f"<<<<<<< HEAD\n{PYTHON}\n=======\n{PYTHON}\n>>>>>>> theirs"),
    "not-toml": ('variant = "minbase"', 'variant = "minbase'),
    "twice": ('variant = "minbase"', 'variant = "minbase"\nvariant = "minbase"'),
    "newer": ("format = 1", "format = 2"),
    "no-format": ("format = 1\n", ""),
    "format-text": ("format = 1", 'format = "1"'),
    "unknown-key": ("clock = ", "clocks = "),
    "unknown-table": ("[images]", "[image]"),
    "clock-number": ("clock = 2026-07-11T10:17:11Z", "clock = 1783765031"),
    "clock-local": ("clock = 2026-07-11T10:17:11Z", "clock = 2026-07-11T10:17:11"),
    "bad-digest": (
        f'"alpine linux/arm64" = "{sha256(b"a")}"',
        '"alpine linux/arm64" = "sha256:../../etc/passwd"',
    ),
    "missing-key": ('architecture = "amd64"\n', ""),
    "wrong-type": ('suites = ["bookworm", "bookworm-security"]', 'suites = "bookworm"'),
    "number-in-list": (PYTHON, "    7,"),
    "short-package": (PYTHON, '    "python3 1.0 amd64",'),
    "bad-size": (PYTHON, PYTHON.replace("1007", "-1")),
    "absolute-path": (PYTHON, PYTHON.replace("debian:pool", "debian:/pool")),
    "path-upwards": (PYTHON, PYTHON.replace("debian:pool", "debian:pool/..")),
    "unknown-archive": (PYTHON, PYTHON.replace("debian:pool", "http://example.org/pool")),
    "bad-release": ("debian bookworm 2023-11-14T22:13:20Z", "debian bookworm yesterday"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_located(case: str, golden: Golden) -> None:
    old, new = DAMAGED[case]
    assert old in TEXT
    with pytest.raises(BuildError) as caught:
        loads(TEXT.replace(old, new).encode(), "buildtool.lock")
    assert caught.value.exit_status == 2
    golden(f"lock/damaged/{case}.txt", render(caught.value) + "\n")


def test_text_that_is_not_utf8() -> None:
    with pytest.raises(BuildError) as caught:
        loads(b"format = 1\n\xff", "buildtool.lock")
    assert (caught.value.code, str(caught.value.span)) == ("lock-syntax", "buildtool.lock:2:1")


def code_of(data: bytes) -> str:
    try:
        loads(data, "x")
    except BuildError as e:
        return e.code
    return "lock-fine"


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    assert code_of(b"format = 1\n" + data).startswith("lock-")


@given(st.integers(0, len(TEXT)), st.text("\"'[]{}=\n,.#\\ 1a", max_size=3))
def test_no_edit_crashes_the_reader(at: int, inserted: str) -> None:
    assert code_of((TEXT[:at] + inserted + TEXT[at + 1 :]).encode()).startswith("lock-")


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000, "{a=" * 5000])
def test_monsters(value: str) -> None:
    assert code_of(f"format = 1\nclock = {value}\n".encode()) == "lock-syntax"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "buildtool.lock"
    assert read(str(path)) == Lock()
    write(str(path), LOCK)
    assert read(str(path)) == LOCK
    assert os.listdir(tmp_path) == ["buildtool.lock"]
    before = path.stat()
    write(str(path), LOCK)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "buildtool.lock"
    link.symlink_to("real/the.lock")
    write(str(link), LOCK)
    assert link.is_symlink()
    assert read(str(tmp_path / "real" / "the.lock")) == LOCK


def test_what_is_no_file(tmp_path: Path) -> None:
    for code, act in (("lock-unreadable", read), ("lock-unwritable", lambda p: write(p, LOCK))):
        with pytest.raises(BuildError) as caught:
            act(str(tmp_path))
        assert caught.value.code == code
    assert not [name for name in os.listdir(tmp_path.parent) if name.endswith(".new")]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(BuildError, match="not a regular file"):
        read(str(tmp_path / "lock"))
