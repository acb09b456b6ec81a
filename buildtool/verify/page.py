"""A comparison as one page for a browser: everything in one file, nothing fetched, no script.

All text comes from images, so from strangers: it is escaped at one place, `_Html.text`, and the
page's own policy lets nothing run or load even so.
"""

import html
from collections.abc import Iterator

from buildtool.verify.causes import CAUSES
from buildtool.verify.model import Comparison, Difference, Finding
from buildtool.verify.render import cut, harmless
from buildtool.verify.style import CSS, GROUPS

#: Places of one layer that are shown; what more there are is said.
_MOST_PLACES = 1_000
#: As many are shown unfolded.
_FEW = 8
_WIDEST = 400
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(found: Comparison) -> str:
    """The whole page."""
    return "".join(_Html(harmless(found)).page())


class _Html:
    def __init__(self, found: Comparison) -> None:
        self.found = found
        self.causes = found.causes()
        self.numbers = {name: number for number, name in enumerate(self.causes)}
        self.open = " open" if sum(1 for _ in found.places()) <= _FEW else ""

    def page(self) -> Iterator[str]:
        found = self.found
        title = f"{cut(found.first, 80)} and {cut(found.second, 80)}"
        yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        yield f"<title>{self.text(title)}</title>\n<style>{CSS}{self.filters()}</style></head>\n<body>"
        yield '<input type="radio" name="only" id="only-all" aria-label="all causes" checked>'
        for name, number in self.numbers.items():
            yield f'<input type="radio" name="only" id="only-{number}" aria-label="{name} alone">'
        yield from self.header()
        yield "<main>"
        if not found.same:
            yield from self.summary()
        yield from self.groups()
        yield "</main>\n<footer>made by <code>buildtool diff</code></footer></body></html>\n"

    def filters(self) -> str:
        """Rules that show the places of one cause alone, without a script."""
        return "".join(
            f"#only-{n}:checked~main .place:not(.has-{n}){{display:none}}"
            f"#only-{n}:checked~main label[for=only-{n}]{{outline:2px solid currentColor}}"
            for n in self.numbers.values()
        )

    # ------------------------------------------------------------ the head of the page

    def header(self) -> Iterator[str]:
        found = self.found
        count = sum(1 for _ in found.places())
        verdict = "the same" if found.same else f"{count} difference{'' if count == 1 else 's'}"
        yield f'<header><p class="verdict {"same" if found.same else "differ"}">{verdict}</p>'
        yield '<dl class="sides">'
        for sign, name, digest in (
            ("−", found.first, found.digests[0]),
            ("+", found.second, found.digests[1]),
        ):
            yield f'<div><dt aria-hidden="true">{sign}</dt><dd><b>{self.text(name)}</b>'
            yield f"<code>{self.text(digest)}</code></dd></div>" if digest else "</dd></div>"
        yield "</dl>"
        yield from (f'<p class="note">{self.text(note)}</p>' for note in found.skipped)
        yield "</header>"

    def summary(self) -> Iterator[str]:
        yield '<section class="causes"><h2>Causes</h2><ul>'
        for name, count in self.causes.items():
            cause = CAUSES[name]
            places = f"{count} place{'' if count == 1 else 's'}"
            group = GROUPS.get(name, "other")
            yield f'<li><label for="only-{self.numbers[name]}" class="chip {group}">{name}</label>'
            yield f' <span class="count">{places}</span><p>{self.text(cause.title)}</p>'
            yield f'<p class="advice">{self.text(cause.advice)}</p></li>'
        yield '</ul><p class="hint">Choose a cause to see its places alone, or '
        yield '<label for="only-all" class="all">all of them</label>.</p></section>'

    # ------------------------------------------------------------ what differs

    def groups(self) -> Iterator[str]:
        documents = [d for d in self.found.differences if d.kind != "layer"]
        if documents:
            yield '<section class="layer"><h2>Documents</h2>'
            for document in documents:
                yield from self.place(document, f"{document.kind} ")
            yield "</section>"
        for layer in self.found.differences:
            if layer.kind == "layer":
                yield from self.layer(layer)

    def layer(self, layer: Difference) -> Iterator[str]:
        yield f'<section class="layer"><h2>{self.text(layer.where)}</h2>'
        if layer.step is not None:
            place = f'<span class="at">{self.text(layer.step.place)}</span>' if layer.step.place else ""
            yield f'<p class="step"><code>{self.text(layer.step.text)}</code>{place}</p>'
        if layer.findings or not layer.inside:
            yield f'<div class="place {self.marks(layer)}">'
            yield from self.body(layer)
            yield "</div>"
        for entry in layer.inside[:_MOST_PLACES]:
            yield from self.place(entry)
        if len(layer.inside) > _MOST_PLACES:
            more = len(layer.inside) - _MOST_PLACES
            yield f'<p class="note">and {more} more: buildtool diff --format json has them all</p>'
        yield "</section>"

    def place(self, place: Difference, before: str = "") -> Iterator[str]:
        findings = place.causes()
        yield f'<details class="place {self.marks(place)}"{self.open}><summary><code class="path">'
        if before:
            yield f'<span class="dim">{self.text(before)}</span>'
        yield f"{self.text(place.where or '(all entries)')}</code>"
        yield f' <span class="field">{self.text(cut(place.field, 80))}</span> '
        yield "".join(self.chip(f) for f in findings)
        yield "</summary>"
        yield from self.body(place)
        yield "</details>\n"

    def body(self, part: Difference) -> Iterator[str]:
        """What was seen of a difference, then the parts of it."""
        if part.findings:
            yield '<ul class="findings">'
            yield from (self.finding(f) for f in part.findings)
            yield "</ul>"
        if part.lines:
            yield '<pre class="diff">'
            for line in part.lines:
                yield f'<span class="{"old" if line.startswith("-") else "new"}">{self.text(line)}</span>\n'
            yield "</pre>"
        elif part.first != part.second:
            yield f'<p class="values"><span class="old">{self.text(part.first) or "none"}</span>'
            yield f' <span class="new">{self.text(part.second) or "none"}</span></p>'
        for inner in part.inside:
            field = self.text(cut(inner.field, 80))
            yield f'<div class="part"><h3><code>{self.text(inner.where)}</code> {field}</h3>'
            yield from self.body(inner)
            yield "</div>"

    def finding(self, found: Finding) -> str:
        times = f' <span class="count">×{found.count}</span>' if found.count > 1 else ""
        sure = f'<span class="sure">{found.confidence}</span>'
        return f"<li>{self.chip(found)} {sure} {self.text(found.evidence)}{times}</li>"

    def chip(self, found: Finding) -> str:
        return f'<span class="chip {GROUPS.get(found.cause, "other")}">{self.text(found.cause)}</span>'

    def marks(self, place: Difference) -> str:
        return " ".join(f"has-{self.numbers[f.cause]}" for f in place.causes() if f.cause in self.numbers)

    @staticmethod
    def text(value: str) -> str:
        """Text of anybody, as text of the page."""
        short = value if len(value) <= _WIDEST else f"{value[:_WIDEST]}…"
        return html.escape(short, quote=True)
