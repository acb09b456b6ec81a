"""A comparison as people read it on a terminal, and as programs read it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from buildtool.diag import PLAIN, Style
from buildtool.verify.causes import CAUSES
from buildtool.verify.model import Comparison, Difference, Finding, Step

#: Differences of one layer that are shown unless all are asked for.
_SHOWN = 25
_SEVERAL = 3
_WIDEST = 200


def as_text(found: Comparison, style: Style = PLAIN, *, everything: bool = False) -> str:
    """The comparison in lines: what differs, under the step that made it, then the causes with advice.

    With `everything` no difference is left out, and excerpts of texts are shown.
    """
    return "\n".join(_Text(style, everything).lines(harmless(found))) + "\n"


class _Text:
    def __init__(self, style: Style, everything: bool) -> None:
        self.style = style
        self.everything = everything

    def lines(self, found: Comparison) -> Iterator[str]:
        bold, dim, reset = self.style.bold, self.style.dim, self.style.reset
        names = f"{found.first} and {found.second}"
        yield from (f"{dim}note: {note}{reset}" for note in found.skipped)
        if found.same:
            yield f"{bold}{names} are the same{reset}{f': {found.digests[0]}' if found.digests[0] else ''}"
            return
        count = sum(1 for _ in found.places())
        yield f"{bold}{names} differ in {count} place{'' if count == 1 else 's'}{reset}"
        for digest, sign in zip(found.digests, "-+", strict=True):
            if digest:
                yield f"{dim}{sign} {digest}{reset}"
        group = ""
        for top in found.differences:
            if top.kind != "layer" and top.kind != group:
                yield from ("", f"{bold}{top.kind}{reset}")
            group = top.kind
            yield from self.layer(top) if top.kind == "layer" else self.place(top)
        yield from self.causes(found)

    def layer(self, layer: Difference) -> Iterator[str]:
        style = self.style
        step = ""
        if layer.step is not None:
            place = f"  {style.dim}{layer.step.place}{style.reset}" if layer.step.place else ""
            text = layer.step.text.removesuffix(" # buildtool").removesuffix(" # buildkit")
            step = f"  {cut(text, 100)}{place}"
        yield from ("", f"{style.bold}{layer.where}{style.reset}{step}")
        if not layer.inside:
            yield f"  {layer.field}  {style.dim}{cut(layer.first, 26)} / {cut(layer.second, 26)}{style.reset}"
        yield from (f"    {row}" for row in self.findings(layer.findings))
        shown = layer.inside if self.everything else layer.inside[:_SHOWN]
        for entry in shown:
            yield from self.place(entry)
        if len(shown) < len(layer.inside):
            more = len(layer.inside) - len(shown)
            yield f"  {style.dim}... and {more} more: --verbose shows all{style.reset}"

    def place(self, place: Difference) -> Iterator[str]:
        style = self.style
        what = "" if place.kind in ("manifest", "config") else f"  {style.dim}{place.field}{style.reset}"
        yield f"  {place.where or '(all)'}{what}"
        findings = place.causes()
        yield from (
            f"      {row}" for row in self.findings(findings if self.everything else findings[:_SEVERAL])
        )
        if not findings and not place.inside and (place.first or place.second):
            yield f"      {cut(place.first, 60) or 'none'} / {cut(place.second, 60) or 'none'}"
        if self.everything:
            yield from self.excerpts(place)

    def excerpts(self, place: Difference) -> Iterator[str]:
        style = self.style
        for part in place.walk():
            if part is not place and part.lines:
                yield f"      {style.dim}in {part.where}{style.reset}"
            for line in part.lines:
                tint = style.severity if line.startswith("-") else style.bold
                yield f"        {tint}{line}{style.reset}"

    def findings(self, findings: tuple[Finding, ...]) -> Iterator[str]:
        style = self.style
        for found in findings:
            tint = style.severity if found.cause == "unexplained" else style.warning
            sure = (
                ""
                if found.confidence == "certain" or found.cause == "unexplained"
                else f" ({found.confidence})"
            )
            times = f" {style.dim}×{found.count}{style.reset}" if found.count > 1 else ""
            yield f"{tint}{found.cause}{style.reset}{sure}: {cut(found.evidence, _WIDEST)}{times}"

    def causes(self, found: Comparison) -> Iterator[str]:
        style = self.style
        causes = found.causes()
        if not causes:
            return
        yield from ("", f"{style.bold}causes{style.reset}")
        for name, count in causes.items():
            cause = CAUSES[name]
            places = f"{count} place{'' if count == 1 else 's'}"
            yield f"  {style.warning}{name}{style.reset}  {style.dim}{places}{style.reset}  {cause.title}"
            yield f"      {cause.advice}"


def as_data(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON has it: what is empty is left out."""
    return {
        "same": found.same,
        "first": {"name": found.first, "digest": found.digests[0]},
        "second": {"name": found.second, "digest": found.digests[1]},
        "skipped": list(found.skipped),
        "causes": [
            {"name": name, "places": count, "title": CAUSES[name].title, "advice": CAUSES[name].advice}
            for name, count in found.causes().items()
        ],
        "differences": [_data(difference) for difference in found.differences],
    }


def _data(difference: Difference) -> dict[str, Any]:
    data: dict[str, Any] = {
        "kind": difference.kind,
        "where": difference.where,
        "field": difference.field,
        "first": difference.first,
        "second": difference.second,
        "findings": [
            {"cause": f.cause, "confidence": str(f.confidence), "evidence": f.evidence, "places": f.count}
            for f in difference.findings
        ],
        "lines": list(difference.lines),
        "inside": [_data(inner) for inner in difference.inside],
    }
    if difference.step is not None:
        data["step"] = {"text": difference.step.text, "place": difference.step.place}
    return {name: value for name, value in data.items() if value or name in ("kind", "where")}


def cut(text: str, most: int) -> str:
    """The text in one line of at most `most` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def harmless(found: Comparison) -> Comparison:
    """The comparison with every text of it safe to show."""
    one, two = found.digests
    return Comparison(
        safe(found.first),
        safe(found.second),
        (safe(one), safe(two)),
        tuple(_harmless(difference) for difference in found.differences),
        tuple(safe(note) for note in found.skipped),
    )


def _harmless(difference: Difference) -> Difference:
    step = difference.step
    return Difference(
        difference.kind,
        safe(difference.where),
        safe(difference.field),
        safe(difference.first),
        safe(difference.second),
        tuple(replace(found, evidence=safe(found.evidence)) for found in difference.findings),
        tuple(_harmless(inner) for inner in difference.inside),
        Step(safe(step.text), safe(step.place)) if step else None,
        tuple(safe(line) for line in difference.lines),
    )


def safe(text: str) -> str:
    """The text with all that could drive a terminal, or turn the direction of writing, escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text
    )
