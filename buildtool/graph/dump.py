"""A graph as stable text: a step a paragraph, numbered inputs first, hints left out."""

import json
from dataclasses import fields

from buildtool.graph.keys import identity
from buildtool.graph.model import Step, counts, walk


def dump(roots: list[Step]) -> str:
    """The text of the graph; two graphs have the same text where they mean the same.

    Steps of one definition are printed once, whether they are one value or
    several, so the text does not tell how a frontend shares its steps.
    """
    names: dict[int, str] = {}
    printed: dict[str, str] = {}
    out: list[str] = []
    for step in walk(roots):
        body = _body(step, names)
        if body not in printed:
            printed[body] = f"s{len(printed)}"
            out.append(f"{printed[body]} = {body}")
        names[id(step)] = printed[body]
    out.append("roots: " + " ".join(names[id(r)] for r in roots))
    return "\n\n".join(out) + "\n"


def _body(step: Step, names: dict[int, str]) -> str:
    rows = [type(step).__name__]
    for f in fields(step):
        found = getattr(step, f.name)
        if not counts(f, found):
            continue
        value = identity(found, lambda s: "$" + names[id(s)])
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows.append(f"  {f.name}:")
            rows += [f"    - {_text(item)}" for item in value]
        else:
            rows.append(f"  {f.name}: {_text(value)}")
    return "\n".join(rows)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, default=_bytes)


def _bytes(value: object) -> str:
    if isinstance(value, bytes):
        return "bytes:" + value.decode("latin-1")
    raise TypeError(type(value).__name__)
