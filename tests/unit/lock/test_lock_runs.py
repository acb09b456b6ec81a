"""The recorded exchanges of steps in a lock: a line each, whatever they hold, and nobody's password."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.address import has_credentials
from buildtool.diag import BuildError, render
from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange, RunPins, run_pins
from buildtool.lock.model import Lock
from buildtool.lock.read import loads
from buildtool.lock.spelling import parse, recording_key, spell
from buildtool.lock.write import dumps, write

Golden = Callable[[str, str], None]

RELEASE = Exchange(
    "GET",
    "debian:dists/bookworm/InRelease",
    200,
    151078,
    sha256(b"release"),
    headers=(("last-modified", "Sat, 11 Jul 2026 10:17:11 GMT"),),
)
REDIRECT = Exchange(
    "GET",
    "https://example.org/tool?os=linux",
    302,
    0,
    sha256(b""),
    headers=(("location", "https://cdn.example.org/tool-1.2"),),
)
PACK = Exchange(
    "POST",
    "https://example.org/app.git/git-upload-pack",
    200,
    2048,
    sha256(b"pack"),
    sha256(b"want"),
    (("git-protocol", "version=2"),),
    (("content-type", "application/x-git-upload-pack-result"),),
)
EMPTY = Exchange("HEAD", "https://example.org/", 204, 0, None)
CLOCK = 1_783_765_031
LOCK = Lock(
    clock=CLOCK,
    runs={
        "app 10": run_pins("b" * 64, CLOCK, ()),
        "app 2": run_pins("a" * 64, CLOCK, (PACK, REDIRECT, RELEASE)),
        "//web:image 1": run_pins("c" * 64, CLOCK, (EMPTY,)),
    },
)


def test_the_text(golden: Golden) -> None:
    golden("lock/runs.lock", dumps(LOCK))


def test_what_is_written_is_read() -> None:
    assert loads(dumps(LOCK).encode(), "x") == LOCK


def test_a_new_exchange_is_a_new_line() -> None:
    pins = LOCK.runs["app 2"]
    more = replace(
        LOCK, runs={**LOCK.runs, "app 2": run_pins(pins.step, pins.clock, (*pins.exchanges, GONE))}
    )
    old, new = dumps(LOCK).splitlines(), dumps(more).splitlines()
    assert [row for row in new if row not in old] == [f'    "{spell(GONE)}",']
    assert len(new) == len(old) + 1


GONE = Exchange("GET", "https://example.org/gone", 404, 0, sha256(b""))


def test_three_hundred_exchanges_are_three_hundred_short_lines() -> None:
    path = "debian:pool/main/p/python3.11/libpython3.11-stdlib_3.11.2-6+deb12u{}_amd64.deb"
    exchanges = [replace(RELEASE, place=path.format(n)) for n in range(300)]
    rows = dumps(Lock(runs={"app 1": run_pins("a" * 64, CLOCK, exchanges)})).splitlines()
    lines = [row for row in rows if "GET" in row]
    assert len(lines) == 300
    assert max(map(len, lines)) < 240


TOKEN = st.text("abcxyz-09", min_size=1, max_size=12)
PAIRS = st.lists(st.tuples(TOKEN, st.text(max_size=20)), max_size=3).map(sorted).map(tuple)
DIGEST = st.sampled_from([None, sha256(b"1"), sha256(b"2")])
EXCHANGES = st.builds(
    Exchange,
    method=st.sampled_from(["GET", "HEAD", "POST", "PROPFIND"]),
    place=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(
        lambda tail: f"https://example.org/{tail}"
    ),
    status=st.integers(100, 599),
    size=st.integers(0, 10**12),
    body=DIGEST,
    request=DIGEST,
    varies=PAIRS,
    headers=PAIRS,
).filter(lambda e: not any(map(has_credentials, (e.place, *(v for _, v in (*e.varies, *e.headers))))))


@given(EXCHANGES)
def test_any_exchange_survives(exchange: Exchange) -> None:
    assert parse(spell(exchange)) == exchange
    assert spell(exchange).isascii()


@given(st.lists(EXCHANGES, max_size=5, unique_by=lambda e: e.asked), TOKEN)
def test_any_recording_survives(exchanges: list[Exchange], place: str) -> None:
    lock = Lock(runs={place: run_pins("f" * 64, CLOCK, exchanges)})
    assert loads(dumps(lock).encode(), "x") == lock
    assert dumps(Lock(runs={place: run_pins("f" * 64, CLOCK, reversed(exchanges))})) == dumps(lock)


def refusal(line: str) -> str:
    try:
        parse(line)
    except ValueError:
        return "not a line"
    except BuildError as error:
        return error.code
    return "fine"


@given(st.text(max_size=60))
def test_no_line_crashes_the_reader(text: str) -> None:
    assert refusal(f"GET https://a/ {text}") in ("fine", "not a line", "bad-digest", "bad-exchange")


def test_credentials_are_not_written() -> None:
    signed = replace(
        REDIRECT,
        place="https://user:hunter2@example.org/tool",
        headers=(("location", "https://cdn.example.org/tool?X-Amz-Signature=hunter2&part=1"),),
    )
    assert "hunter2" not in spell(signed)
    assert "part=1" in spell(signed)


def test_a_recording_has_a_key() -> None:
    pins = LOCK.runs["app 2"]
    others = [
        replace(pins, step="d" * 64),
        run_pins(pins.step, pins.clock, pins.exchanges[:-1]),
        run_pins(pins.step, pins.clock, (replace(RELEASE, body=sha256(b"other")), PACK, REDIRECT)),
    ]
    assert recording_key(RunPins(pins.step, pins.clock, pins.exchanges)) == recording_key(pins)
    assert len({recording_key(p) for p in (pins, *others)}) == 4


TEXT = dumps(LOCK)
LINE = f'    "{spell(REDIRECT)}",'
#: A name, what is replaced in the text, and by what.
DAMAGED = {
    "run-conflict": (LINE, f"<<<<<<< HEAD\n{LINE}\n=======\n>>>>>>> theirs"),
    "run-conflict-step": (
        f'step = "{"a" * 64}"',
        f'<<<<<<< HEAD\nstep = "{"a" * 64}"\n=======\nstep = "{"e" * 64}"\n>>>>>>> theirs',
    ),
    "run-two-answers": (LINE, f"{LINE}\n{LINE.replace(' 302 ', ' 301 ')}"),
    "run-short": (LINE, '    "GET https://example.org/tool 302",'),
    "run-status": (LINE, LINE.replace(" 302 ", " 3002 ")),
    "run-size": (LINE, LINE.replace(" 302 0 ", " 302 00 ")),
    "run-digest": (LINE, LINE.replace("sha256:", "sha256:..")),
    "run-place": (LINE, LINE.replace("https://example.org", "example.org")),
    "run-password": (LINE, LINE.replace("https://", "https://user:hunter2@")),
    "run-header": (LINE, LINE.replace("location=", "location:")),
    "run-step": ("a" * 64, "a" * 63),
    "run-key": (f'step = "{"a" * 64}"', f'step = "{"a" * 64}"\ncommand = "apt-get update"'),
    "run-number": (LINE, "    302,"),
    "run-newer": ("format = 1", "format = 2"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_located(case: str, golden: Golden) -> None:
    old, new = DAMAGED[case]
    assert old in TEXT
    with pytest.raises(BuildError) as caught:
        loads(TEXT.replace(old, new).encode(), "buildtool.lock")
    assert caught.value.exit_status == 2
    golden(f"lock/damaged/{case}.txt", render(caught.value) + "\n")


def test_comments_at_the_top_stay(tmp_path: Path) -> None:
    path = tmp_path / "buildtool.lock"
    path.write_text("# SPDX-License-Identifier: MIT\n# Ask Ada before you update.\n\n" + dumps(LOCK))
    write(str(path), LOCK)
    assert path.read_text().startswith(
        "# SPDX-License-Identifier: MIT\n# Ask Ada before you update.\n\n# Written"
    )
    changed = replace(LOCK, clock=1_783_765_032)
    write(str(path), changed)
    text = path.read_text()
    assert text == "# SPDX-License-Identifier: MIT\n# Ask Ada before you update.\n\n" + dumps(changed)
    before = path.stat().st_ino
    write(str(path), changed)
    assert path.stat().st_ino == before
