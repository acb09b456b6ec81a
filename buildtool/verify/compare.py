"""Two images compared: their documents member by member, their layers entry by entry."""

import difflib
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import msgspec

from buildtool.diag import BuildError
from buildtool.oci.convert import seconds_of
from buildtool.verify.clues import Clues
from buildtool.verify.explain import explain
from buildtool.verify.layers import layer_difference
from buildtool.verify.marks import LIKELY, quoted
from buildtool.verify.model import Comparison, Difference, Finding, World
from buildtool.verify.subject import Image, Layer

#: Members of documents that follow from the layers and from other members.
_FOLLOWING = {"manifest": ("config", "layers"), "config": ("rootfs", "history")}
_DEEPEST = 32
_COPYING = ("COPY ", "ADD ")


def compare(first: Image, second: Image, worlds: tuple[World, World] = (World(), World())) -> Comparison:
    """Where two images differ, and why.

    `worlds` tell what is known of where each was built: the more, the surer the causes.
    BuildError `corrupt-blob`, `bad-document` for what is no image.
    """
    digests = first.digest, second.digest
    if first.digest and first.digest == second.digest:
        return Comparison(first.name, second.name, digests, ())
    skipped = []
    differences: list[Difference] = []
    documents = [[_parsed(d) for d in (image.manifest, image.config)] for image in (first, second)]
    for number, kind in enumerate(("manifest", "config")):
        one, two = documents[0][number], documents[1][number]
        if one is None or two is None:
            if (one is None) != (two is None):
                side = first.name if one is None else second.name
                skipped.append(f"{side} has no {kind} to compare")
            continue
        differences += _document(kind, one, two)
    configs = documents[0][1], documents[1][1]
    if all(isinstance(c, dict) for c in configs):
        differences += _history(*(_list(c.get("history")) for c in configs))
    clues = Clues(_world(worlds[0], configs[0]), _world(worlds[1], configs[1]))
    differences += _layers(first, second, clues)
    return Comparison(first.name, second.name, digests, tuple(differences), tuple(skipped))


def _parsed(document: bytes) -> Any:
    if not document:
        return None
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise BuildError("bad-document", f"a document of an image is no JSON: {exc}") from exc


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _world(world: World, config: Any) -> World:
    """What is known of a world, and when its image says that it was made."""
    if not isinstance(config, dict) or not isinstance(config.get("created"), str):
        return world
    return replace(world, instants=(*world.instants, ("the image's created", seconds_of(config["created"]))))


# ---------------------------------------------------------------- documents


def _document(kind: str, one: Any, two: Any) -> list[Difference]:
    left, right = (
        {k: v for k, v in d.items() if k not in _FOLLOWING[kind]} if isinstance(d, dict) else d
        for d in (one, two)
    )
    return list(_values(kind, "", left, right, 0))


def _values(kind: str, at: str, one: Any, two: Any, depth: int) -> Iterator[Difference]:
    """Where two JSON values differ."""
    if one == two and type(one) is type(two):
        return
    if isinstance(one, dict) and isinstance(two, dict) and depth < _DEEPEST:
        for name in sorted({*one, *two}):
            yield from _values(kind, f"{at}.{name}" if at else name, one.get(name), two.get(name), depth + 1)
    elif isinstance(one, list) and isinstance(two, list) and depth < _DEEPEST:
        for number, (a, b) in enumerate(zip_longest(one, two)):
            yield from _values(kind, f"{at}[{number}]", a, b, depth + 1)
    else:
        shown = _shown(one), _shown(two)
        yield Difference(kind, at, "", *shown, _value_findings(at, one, two))


def _value_findings(at: str, one: Any, two: Any) -> tuple[Finding, ...]:
    if one is None or two is None:
        return (Finding("source", f"only in the {'second' if one is None else 'first'}", LIKELY),)
    name = at.rpartition(".")[2]
    seen = explain(f"{name}: {_text(one)}", f"{name}: {_text(two)}", Clues())
    if seen.whole and seen.findings:
        return seen.findings
    return (*seen.findings, Finding("source", quoted(_text(one), _text(two)), LIKELY))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def _history(first: list[Any], second: list[Any]) -> list[Difference]:
    found: list[Difference] = []
    for number, (a, b) in enumerate(zip_longest(first, second), 1):
        if a == b:
            continue
        inside = tuple(_values("history", "", a, b, 0))
        entry = a if isinstance(a, dict) else b if isinstance(b, dict) else {}
        found.append(
            Difference("history", f"history {number}", str(entry.get("created_by", ""))[:200], inside=inside)
        )
    return found


# ---------------------------------------------------------------- layers


def _layers(first: Image, second: Image, clues: Clues) -> Iterator[Difference]:
    for number, (a, b) in enumerate(_aligned(first.layers, second.layers), 1):
        if a is not None and b is not None:
            found = layer_difference(number, a, b, clues)
            if found is not None:
                yield _of_context(found) if found.step and found.step.text.startswith(_COPYING) else found
            continue
        layer = a or b
        assert layer is not None
        side = "first" if a is not None else "second"
        shown = (layer.digest, "") if a is not None else ("", layer.digest)
        finding = Finding("source", f"only the {side} has this layer", LIKELY)
        yield Difference("layer", f"layer {number}", "presence", *shown, (finding,), step=layer.step)


def _of_context(layer: Difference) -> Difference:
    """A layer of copied files: what the builder cannot have caused, the files themselves did."""
    findings = tuple(_copied(f) for f in layer.findings)
    return replace(layer, findings=findings, inside=tuple(_of_context(part) for part in layer.inside))


def _copied(found: Finding) -> Finding:
    if found.cause != "unexplained":
        return found
    return replace(
        found, cause="source", confidence=LIKELY, evidence=f"the step copies files: {found.evidence}"
    )


def _aligned(first: tuple[Layer, ...], second: tuple[Layer, ...]) -> list[tuple[Layer | None, Layer | None]]:
    """The layers that stand for each other: by place where there are as many, else by what made them."""
    if len(first) == len(second):
        return list(zip(first, second, strict=True))
    one, two = ([_made_by(layer) for layer in layers] for layers in (first, second))
    found: list[tuple[Layer | None, Layer | None]] = []
    for _, a1, a2, b1, b2 in difflib.SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        found += zip_longest(first[a1:a2], second[b1:b2])
    return found


def _made_by(layer: Layer) -> str:
    text = layer.step.text if layer.step else layer.diff_id
    return text.removesuffix("# buildkit").removesuffix("# buildtool").strip()
