"""The page and the text of a comparison: whole, escaped, and read by a real browser."""

import json
import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from buildtool.diag import COLOUR
from buildtool.verify.model import Comparison, Difference, Finding, Step
from buildtool.verify.page import page
from buildtool.verify.render import as_data, as_text
from tests.support.layouts import compared, layout, tar

HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>\x1b[2J\u202egnp'

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    first = {"etc/built": b"at 2026-08-01T12:00:01Z\n", "etc/nproc": b"4\n", "odd": b"one\n"}
    second = {"etc/built": b"at 2026-08-01T12:03:44Z\n", "etc/nproc": b"16\n", "odd": b"two\n"}
    steps = ["RUN make # buildkit"]
    one = layout(tmp_path / "one", [tar(first)], steps=steps)
    two = layout(tmp_path / "two", [tar(second)], steps=steps, created="2026-08-01T12:03:44Z")
    return compared(one, two)


def hostile() -> Comparison:
    finding = Finding("unexplained", HOSTILE)
    part = Difference("part", HOSTILE, HOSTILE, HOSTILE, HOSTILE, (finding,), lines=("-" + HOSTILE,))
    entry = Difference("entry", HOSTILE, HOSTILE, HOSTILE, HOSTILE, (finding,), (part,))
    layer = Difference("layer", "layer 1", "content", inside=(entry,), step=Step(HOSTILE, HOSTILE))
    document = Difference("config", HOSTILE, "", HOSTILE, HOSTILE)
    return Comparison(HOSTILE, HOSTILE, (HOSTILE, HOSTILE), (document, layer), (HOSTILE,))


class _Elements(HTMLParser):
    """Names and attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def test_a_page_needs_nothing_from_anywhere(found: Comparison) -> None:
    text = page(found)
    elements = _Elements(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(elements.names)
    assert not {name for name, _ in elements.attributes} & {"src", "href", "onclick", "onerror"}
    assert "url(" not in text
    assert "@import" not in text
    assert text.count("<details") == text.count("</details>") == 5


def test_what_strangers_wrote_stays_text() -> None:
    text = page(hostile())
    elements = _Elements(text)
    assert not {"script", "img"} & set(elements.names)
    assert "\x1b" not in text
    assert "\u202e" not in text
    for style in (as_text(hostile()), as_text(hostile(), everything=True)):
        assert "\x1b" not in style
        assert "\u202e" not in style


def test_text_is_coloured_only_when_asked(found: Comparison) -> None:
    plain = as_text(found)
    assert "\x1b" not in plain
    coloured = as_text(found, COLOUR)
    for sequence in (COLOUR.severity, COLOUR.warning, COLOUR.bold, COLOUR.dim, COLOUR.reset):
        assert sequence in coloured
        coloured = coloured.replace(sequence, "")
    assert coloured == plain


def test_text_reads_like_this(found: Comparison, golden) -> None:  # type: ignore[no-untyped-def]
    golden("verify/diff.txt", as_text(found, everything=True))


def test_many_differences_are_cut_unless_all_are_asked_for(tmp_path: Path) -> None:
    first, second = (tar({f"f{n:02}": b"pid: %d" % (n + more) for n in range(40)}) for more in (1, 2))
    many = compared(layout(tmp_path / "a", [first]), layout(tmp_path / "b", [second]))
    assert "... and 15 more: --verbose shows all" in as_text(many)
    assert "more" not in as_text(many, everything=True)


def test_data_has_everything_and_is_json(found: Comparison) -> None:
    data = json.loads(json.dumps(as_data(found)))
    assert data["same"] is False
    assert {c["name"] for c in data["causes"]} == {"embedded-time", "cpu-count", "unexplained"}
    layer = data["differences"][-1]
    assert layer["step"] == {"text": "RUN make # buildkit", "place": ""}
    assert [entry["where"] for entry in layer["inside"]] == ["etc/built", "etc/nproc", "odd"]


def _browse(text: str, folder: Path, *more: str) -> str:
    """What the browser made of a page, as it tells it after everything has been run that may run."""
    assert CHROMIUM is not None
    (folder / "page.html").write_text(text)
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        *more,
        f"file://{folder / 'page.html'}",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_a_hostile_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    seen = _browse(page(hostile()), tmp_path, "--dump-dom")
    assert "<title>" in seen
    assert "<title>owned</title>" not in seen
    assert "<script" not in seen
    assert seen.count("<details") == 2
    assert "&lt;script&gt;" in seen


@pytest.mark.soak
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_browser_paints_it_in_light_and_dark(found: Comparison, tmp_path: Path, mode: str) -> None:
    picture = tmp_path / "page.png"
    scheme = f"--blink-settings=preferredColorScheme={0 if mode == 'dark' else 1}"
    _browse(page(found), tmp_path, f"--screenshot={picture}", "--window-size=1000,1200", scheme)
    assert picture.stat().st_size > 20_000
    # A dark page is mostly dark: compare with a picture of the other mode by its first pixels.
    assert _corner(picture) < 60 if mode == "dark" else _corner(picture) > 200


def _corner(picture: Path) -> int:
    """The brightness of the first pixel of a PNG (all of ours are RGB or RGBA without interlacing)."""
    import zlib

    data = picture.read_bytes()
    at, body = 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return max(zlib.decompress(body)[1:4])
