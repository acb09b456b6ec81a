"""A graph in the forms that other programs read: JSON, and pictures by Graphviz or Mermaid."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from buildtool.graph.keys import fields_of
from buildtool.graph.model import Step, inputs, walk

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class _Drawn:
    name: str
    step: Step
    needs: tuple[str, ...]

    @property
    def title(self) -> str:
        origin = self.step.origin
        text = " ".join((origin.title if origin else "").split())
        text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        kind = type(self.step).__name__
        return f"{kind}: {text}" if text else kind


def as_json(roots: list[Step]) -> str:
    """The steps as a JSON document: each with its fields, inputs by their ids, and where it was written."""
    steps = []
    names: dict[int, str] = {}
    for drawn in _drawn(roots):
        names[id(drawn.step)] = drawn.name
        origin = drawn.step.origin
        row: dict[str, object] = {"id": drawn.name, "needs": drawn.needs}
        if origin:
            row["title"] = origin.title
        if origin and origin.span:
            row |= {"file": origin.span.file, "line": origin.span.line}
        steps.append({**row, "step": fields_of(drawn.step, lambda s: names[id(s)])})
    document = {"steps": steps, "roots": [names[id(r)] for r in roots]}
    return json.dumps(document, indent=2, default=_text_of_bytes) + "\n"


def as_dot(roots: list[Step]) -> str:
    """The text of a picture for Graphviz's dot."""
    rows = ["digraph build {", "  rankdir=BT;", "  node [shape=box];"]
    for drawn in _drawn(roots):
        rows.append(f"  {drawn.name} [label={json.dumps(drawn.title, ensure_ascii=False)}];")
        rows += [f"  {drawn.name} -> {need};" for need in drawn.needs]
    return "\n".join([*rows, "}"]) + "\n"


def as_mermaid(roots: list[Step]) -> str:
    """The text of a picture for Mermaid, as Markdown on forges shows it."""
    rows = ["flowchart BT"]
    for drawn in _drawn(roots):
        title = drawn.title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        rows.append(f'  {drawn.name}["{title}"]')
        rows += [f"  {drawn.name} --> {need}" for need in drawn.needs]
    return "\n".join(rows) + "\n"


def _drawn(roots: list[Step]) -> Iterator[_Drawn]:
    names: dict[int, str] = {}
    for step in walk(roots):
        names[id(step)] = f"s{len(names)}"
        needs = dict.fromkeys(names[id(i)] for i in inputs(step))
        yield _Drawn(names[id(step)], step, tuple(needs))


def _text_of_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return "bytes:" + value.decode("latin-1")
    raise TypeError(type(value).__name__)
