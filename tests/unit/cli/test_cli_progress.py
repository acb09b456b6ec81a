"""The views of a build: one story, told by each of them, compared with goldens."""

import io
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from buildtool.cli.progress.choose import choose
from buildtool.cli.progress.picture import picture
from buildtool.cli.progress.plain import Plain
from buildtool.cli.progress.quiet import Quiet
from buildtool.cli.progress.rawjson import RawJson
from buildtool.cli.progress.terminal import Terminal
from buildtool.cli.progress.view import Summary, View
from buildtool.diag import BuildError, Span, Warned
from buildtool.digest import sha256
from buildtool.executor.api import BuiltImage, BuiltLayer, BuiltStep
from buildtool.executor.progress import Finished, StepInfo
from buildtool.graph.model import Platform

Golden = Callable[[str, str], None]

CONTEXT = StepInfo(0, "localsource", "load build context")
BASE = StepInfo(1, "imagesource", "FROM debian", "stage-0")
APT = StepInfo(2, "run", "RUN apt-get update && apt-get -y install python3", "stage-0")
MAKE = StepInfo(3, "run", "RUN make", "builder")
COPY = StepInfo(4, "fileop", "COPY app.py /app/", "stage-0")
STEPS = (CONTEXT, BASE, APT, MAKE, COPY)


class Clock:
    """Time that passes when the story says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _begin(view: View, clock: Clock) -> None:
    view.planned(STEPS)
    view.warned(
        Warned("not-hermetic", "a step uses the network", Span("Dockerfile", 2, 1, 2, 4, "RUN apt-get"))
    )
    view.finished(CONTEXT, Finished(cached=True))
    view.started(BASE)
    for done in range(0, 60_000_000, 20_000_000):
        view.advanced(BASE, "download", done, 60_000_000)
        clock.sleep(3)
    view.advanced(BASE, "download", 60_000_000, 60_000_000)
    view.advanced(BASE, "unpack", 5_000_000, None)


def _middle(view: View, clock: Clock) -> None:
    view.finished(BASE, Finished(cached=False, seconds=9.0, size=60_000_000))
    view.started(APT)
    view.started(MAKE)
    clock.sleep(0.5)
    view.output(APT, b"\x1b[32mGet:1\x1b[0m http://example.org unstable InRelease\r\nGet:2 half a ")
    view.output(MAKE, b"cc -c a.c\n")
    clock.sleep(1.25)
    view.output(APT, b"line\nprogress 10%\rprogress 99%\n\x1b]0;evil\x07\x1b[2Jnot \x07evil\nunfinished")


def _well(view: View, clock: Clock) -> None:
    view.finished(MAKE, Finished(cached=False, seconds=2.0, size=1234))
    view.finished(
        APT, Finished(cached=False, seconds=4.5, size=88_000_000, mended=("apt-caches: var/cache",))
    )
    view.finished(COPY, Finished(cached=True))
    view.summary(_summary())


def _badly(view: View, clock: Clock) -> BuildError:
    view.output(APT, b"\nE: Unable to locate package pythn3")
    error = BuildError("step-failed", "the command ended with exit status 100", exit_status=1)
    view.failed(APT, error)
    return error


def _story_that_fails(view: View, clock: Clock) -> None:
    with view:
        _begin(view, clock)
        _middle(view, clock)
        raise _badly(view, clock)


def _summary() -> Summary:
    def layer(size: int, title: str) -> BuiltLayer:
        return BuiltLayer(sha256(title.encode()), sha256(b"raw"), size, "application/x", title)

    layers = (layer(60_000_000, ""), layer(88_000_000, APT.title + " " + "x" * 90), layer(512, COPY.title))
    steps = (BuiltStep(APT.title, APT.stage, "host"),)
    image = BuiltImage(sha256(b"manifest"), 500, sha256(b"config"), Platform("linux", "amd64"), layers, steps)
    return Summary((("", image),), ("app:latest",), ("out.tar",), 3, 2, 16.25)


def test_plain(golden: Golden) -> None:
    out, clock = io.StringIO(), Clock()
    view = Plain(out, clock)
    _begin(view, clock)
    _middle(view, clock)
    _well(view, clock)
    golden("cli/plain.txt", out.getvalue())
    assert "\x1b" not in out.getvalue()


def test_plain_repeats_a_heading_that_is_far_up() -> None:
    out = io.StringIO()
    view = Plain(out, Clock())
    view.planned(STEPS)
    view.started(APT)
    view.started(MAKE)
    for number in range(40):
        view.output(MAKE, b"line %d\n" % number)
    view.output(APT, b"still here\n")
    assert out.getvalue().count("#3 [stage-0 2/3] RUN apt-get") == 2
    assert out.getvalue().count("#4 [builder 1/1] RUN make") == 1


def test_plain_failure(golden: Golden) -> None:
    out, clock = io.StringIO(), Clock()
    view = Plain(out, clock)
    with pytest.raises(BuildError) as caught:
        _story_that_fails(view, clock)
    golden("cli/plain-failure.txt", out.getvalue())
    assert caught.value.output.endswith("unfinished\nE: Unable to locate package pythn3")


def test_rawjson(golden: Golden) -> None:
    out, clock = io.StringIO(), Clock()
    view = RawJson(out, clock)
    _begin(view, clock)
    _middle(view, clock)
    _badly(view, clock)
    _well(view, clock)
    golden("cli/rawjson.txt", out.getvalue())
    for row in out.getvalue().splitlines():
        assert set(json.loads(row)) <= {"vertexes", "statuses", "logs", "warnings", "result"}


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    out, clock = io.StringIO(), Clock()
    view = Quiet(out)
    _begin(view, clock)
    _middle(view, clock)
    _well(view, clock)
    assert out.getvalue() == ""
    assert capsys.readouterr().out == f"{sha256(b'manifest')}\n"


# ---------------------------------------------------------------- terminal


class FakeTerminal(io.StringIO):
    """A stream that looks like a terminal of 80 columns in UTF-8."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _terminal(colour: bool = False) -> tuple[Terminal, FakeTerminal, Clock]:
    out, clock = FakeTerminal(), Clock()
    view = Terminal(out, colour=colour, clock=clock)
    # The story stands still while a test looks at it: nobody draws in between.
    view._drawer = threading.Thread()
    view._drawer.join = lambda timeout=None: None  # type: ignore[method-assign]
    return view, out, clock


def _drawn(view: Terminal, height: int, **options: Any) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, **options)
    with console.capture() as capture:
        console.print(picture(view, height))
    return "\n".join(row.rstrip() for row in capture.get().splitlines()) + "\n"


def test_terminal_live(golden: Golden) -> None:
    view, _, clock = _terminal()
    _begin(view, clock)
    seen = ["--- a download", _drawn(view, 24, color_system=None)]
    _middle(view, clock)
    seen += ["--- two steps side by side", _drawn(view, 24, color_system=None)]
    seen += ["--- on a small terminal", _drawn(view, 7, color_system=None)]
    seen += ["--- on a tiny one", _drawn(view, 4, color_system=None)]
    golden("cli/terminal-live.txt", "\n".join(seen))


@pytest.mark.parametrize("height", range(3, 30))
def test_the_picture_fits_the_terminal(height: int) -> None:
    view, _, clock = _terminal()
    _begin(view, clock)
    _middle(view, clock)
    for number in range(10, 30):
        view.started(StepInfo(number, "run", f"RUN step {number}"))
    assert len(_drawn(view, height).splitlines()) <= height


@pytest.mark.parametrize("colour", [True, False])
def test_terminal_lines_that_stay(golden: Golden, colour: bool) -> None:
    view, out, clock = _terminal(colour)
    _begin(view, clock)
    _middle(view, clock)
    _well(view, clock)
    golden(f"cli/terminal-{'colour' if colour else 'plain'}.txt", out.getvalue())
    assert ("\x1b" in out.getvalue()) == colour


def test_terminal_failure(golden: Golden) -> None:
    view, out, clock = _terminal()
    with pytest.raises(BuildError) as caught:
        _story_that_fails(view, clock)
    golden("cli/terminal-failure.txt", out.getvalue() + "\n--- output\n" + caught.value.output + "\n")


def test_terminal_draws_and_cleans_up() -> None:
    out = FakeTerminal()
    view = Terminal(out, colour=True)
    with view:
        view.planned(STEPS)
        view.started(APT)
        view.output(APT, b"a line of output\n")
        deadline = time.monotonic() + 60
        while "a line of output" not in out.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        view.finished(APT, Finished(cached=False, seconds=1))
    text = out.getvalue()
    assert "a line of output" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is shown again"
    assert "✓" in text


def test_a_build_from_the_cache_draws_nothing_live() -> None:
    out = FakeTerminal()
    with Terminal(out, colour=False) as view:
        view.planned(STEPS)
        for step in STEPS:
            view.finished(step, Finished(cached=True))
    assert out.getvalue().count("cached") == 3, "sources that need no work are no news"
    assert "\x1b" not in out.getvalue()


# ---------------------------------------------------------------- choice


@pytest.mark.parametrize(
    ("mode", "terminal", "environment", "name"),
    [
        ("auto", True, {}, "Terminal"),
        ("auto", False, {}, "Plain"),
        ("auto", True, {"TERM": "dumb"}, "Plain"),
        ("auto", True, {"BUILDKIT_PROGRESS": "plain"}, "Plain"),
        ("auto", True, {"BUILDKIT_PROGRESS": "nonsense"}, "Terminal"),
        ("plain", True, {}, "Plain"),
        ("tty", False, {}, "Terminal"),
        ("rawjson", True, {}, "RawJson"),
        ("quiet", True, {}, "Quiet"),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch, mode: str, terminal: bool, environment: dict[str, str], name: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("BUILDKIT_PROGRESS", raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert type(choose(mode, FakeTerminal() if terminal else io.StringIO())).__name__ == name


@pytest.mark.parametrize(("value", "colour"), [("", True), ("1", False), ("0", False)])
def test_no_color(monkeypatch: pytest.MonkeyPatch, value: str, colour: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", value)
    view = choose("tty", FakeTerminal())
    assert isinstance(view, Terminal)
    assert view.colour is colour


def test_views_write_to_standard_error() -> None:
    assert choose("plain").out is sys.stderr
