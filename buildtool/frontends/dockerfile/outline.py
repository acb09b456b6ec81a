"""A tree for programs, as JSON, and for people, as an indented outline."""

import json
from typing import Any

import msgspec

from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.tree import Place

#: What is not worth a line where it is empty.
_QUIET = ("flags", "heredocs", "empty_continuations", "directives", "preamble", "alias", "old")


def as_json(file: tree.File) -> str:
    """The tree; each instruction has its `kind`, each place is LINE, COLUMN, END LINE, END COLUMN."""
    document = _plain(file)
    del document["lines"]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Place):
        return list(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, msgspec.Struct):
        return value
    fields = {field.name: _plain(getattr(value, field.name)) for field in msgspec.structs.fields(value)}
    return {"kind": value.name, **fields} if isinstance(value, tree.Instruction) else fields


def as_tree(file: tree.File) -> str:
    """One line for each part, with the place where it stands."""
    rows = [f"# {directive.name}={directive.value}{_at(directive.at)}" for directive in file.directives]
    for node in file.preamble:
        _instruction(node, "", rows)
    for stage in file.stages:
        _instruction(stage.start, "", rows)
        for inner in stage.body:
            _instruction(inner, "  ", rows)
    return "".join(f"{row}\n" for row in rows)


def _instruction(node: tree.Node, indent: str, rows: list[str]) -> None:
    rows.append(f"{indent}{node.name}{_at(node.at)}")
    for field in msgspec.structs.fields(node):
        value = getattr(node, field.name)
        if field.name not in ("at", "text") and not (field.name in _QUIET and not value):
            _field(field.name, value, f"{indent}    ", rows)


def _field(name: str, value: Any, indent: str, rows: list[str]) -> None:
    if isinstance(value, tuple) and not isinstance(value, Place):
        for item in value:
            _field(name.removesuffix("s"), item, indent, rows)
    elif isinstance(value, tree.Word):
        rows.append(f"{indent}{name} {_text(value.text)}{_at(value.at)}")
    elif isinstance(value, tree.Flag):
        rows.append(f"{indent}flag --{value.name}{_value(value.value)}{_at(value.at)}")
    elif isinstance(value, tree.Pair):
        rows.append(f"{indent}{name} {value.name}{_value(value.value)}{_at(value.at)}")
    elif isinstance(value, tree.Heredoc):
        how = " as it is" if not value.expand else ""
        rows.append(f"{indent}heredoc {value.name}{how} {_text(value.body)}{_at(value.at)}")
    elif isinstance(value, tree.Command):
        rows.append(f"{indent}{value.form} {' '.join(map(_text, value.words))}".rstrip())
    else:
        rows.append(f"{indent}{name} {_text('' if value is None else str(value))}")


def _value(value: str | None) -> str:
    return "" if value is None else f"={_text(value)}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _at(place: Place) -> str:
    end = f"{place.end_line}:" if place.end_line != place.line else ""
    return f"  {place.line}:{place.column}-{end}{place.end_column}"
