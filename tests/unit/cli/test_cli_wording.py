"""Times, sizes and output lines as people see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.cli.progress.output import LONGEST_LINE, Lines, neutral, that_matters
from buildtool.cli.progress.wording import Names, cut, seconds, size
from buildtool.executor.progress import StepInfo


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0s"), (1.26, "1.3s"), (59.94, "59.9s"), (59.96, "1m00s"), (125, "2m05s"), (3725, "1h02m")],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12345, "12.3 kB"),
        (999499, "999 kB"),
        (999999, "1.00 MB"),
        (145_000_000, "145 MB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(value: int, text: str) -> None:
    assert size(value) == text


def test_a_cut_text_is_one_line() -> None:
    assert cut("RUN a \\\n   b", 20) == "RUN a \\ b"
    assert cut("abcdef", 4) == "abc…"


def test_steps_are_counted_by_stage() -> None:
    names = Names()
    steps = [
        StepInfo(0, "run", "RUN a", "one"),
        StepInfo(1, "x", "load"),
        StepInfo(2, "run", "RUN\x1b b", "one"),
    ]
    names.plan(steps)
    assert [names.of(s) for s in steps] == ["[one 1/2] RUN a", "load", "[one 2/2] RUN\\x1b b"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"10%\r20%\r", "20%"),
        (b"a\tb", "a       b"),
        (b"bell\x07 \x9b2J", "bell\\x07 \ufffd2J"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\x1b(Bx\x1b[2J\x1bc", "x"),
        ("right\u202eleft".encode(), "right\\u202eleft"),
    ],
)
def test_neutral_lines(data: bytes, text: str) -> None:
    assert neutral(data) == text


@given(st.binary(max_size=200))
def test_nothing_that_drives_a_terminal_survives(data: bytes) -> None:
    assert all(c.isprintable() for c in neutral(data))


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    lines, whole = Lines(), Lines()
    seen = [row for chunk in chunks for row in lines.feed(chunk)] + lines.end()
    assert seen == whole.feed(b"".join(chunks)) + whole.end()


def test_an_endless_line_is_shown_in_pieces() -> None:
    lines = Lines()
    seen = lines.feed(b"x" * (LONGEST_LINE * 3 + 5))
    assert [len(s) for s in seen] == [LONGEST_LINE] * 3
    assert lines.end() == ["xxxxx"]


def test_the_output_that_matters() -> None:
    rows = [f"line {n}" for n in range(100)]
    assert that_matters("\n".join(rows[:5]) + "\n\n") == "\n".join(rows[:5])
    assert that_matters("\n".join(rows)).splitlines() == ["…", *rows[80:]]
    rows[10] = "x.c:1: error: no"
    seen = that_matters("\n".join(rows)).splitlines()
    assert seen[:3] == ["…", "x.c:1: error: no", "…"]
    assert seen[-1] == "line 99"
    assert len(seen) < 22
