"""`buildtool query`: which targets there are, and how they need each other."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from buildtool.cli.platforms import parse_platform

if TYPE_CHECKING:
    from buildtool.frontends.starlark.dependencies import Dependencies
    from buildtool.frontends.starlark.labels import Label


@click.command("query")
@click.argument("expression")
@click.option(
    "--output",
    type=click.Choice(("label", "label_kind", "location", "json", "graph")),
    default="label",
    metavar="FORMAT",
    help="How targets are shown: label, label_kind, location, json, graph (for dot). [default: label]",
)
@click.option("--flag", multiple=True, metavar="NAME=VALUE", help="A flag that select() asks about.")
@click.option("--platform", default="", metavar="OS/ARCH", help="The platform that select() asks about.")
def command(*, expression: str, output: str, flag: tuple[str, ...], platform: str) -> None:
    """Find targets of BUILD.star files.

    EXPRESSION is a label, a pattern such as //app/..., or made of deps(x), deps(x, depth),
    rdeps(universe, x), allpaths(a, b), somepath(a, b), kind(regex, x), attr(name, regex, x),
    filter(regex, x) and set(a b), joined by +, - and ^. Nothing is built.
    """
    from buildtool.cli.services import Remembered
    from buildtool.frontends.starlark.dependencies import Dependencies
    from buildtool.frontends.starlark.query import query
    from buildtool.frontends.starlark.workspace import Workspace
    from buildtool.store import Store

    store = Store.open()
    opened = Workspace.open(
        os.getcwd(), memory=Remembered(store.results), flags=flag, platform=parse_platform(platform)
    )
    with opened as workspace, store.results.batch():
        dependencies = Dependencies(workspace)
        text = _FORMATS[output](query(expression, dependencies), dependencies)
        warnings = workspace.warnings
    store.close()
    for warning in warnings:
        from buildtool.diag import render

        click.echo(render(warning), err=True)
    if text:
        click.echo(text)


def _labels(found: "Sequence[Label]", _: "Dependencies") -> str:
    return "\n".join(map(str, found))


def _kinds(found: "Sequence[Label]", dependencies: "Dependencies") -> str:
    from buildtool.frontends.starlark.query import kind_of

    return "\n".join(f"{kind_of(dependencies.target(label))} {label}" for label in found)


def _locations(found: "Sequence[Label]", dependencies: "Dependencies") -> str:
    from buildtool.frontends.starlark.query import kind_of

    rows = []
    for label in found:
        target = dependencies.target(label)
        place = f"{target.at[0].file}:{target.at[0].line}: " if target.at else ""
        rows.append(f"{place}{kind_of(target)} {label}")
    return "\n".join(rows)


def _json(found: "Sequence[Label]", dependencies: "Dependencies") -> str:
    import json

    from buildtool.frontends.starlark.query import kind_of, plain

    rows = []
    for label in found:
        target = dependencies.target(label)
        row: dict[str, object] = {"label": str(label), "kind": kind_of(target)}
        if target.at:
            row |= {"file": target.at[0].file, "line": target.at[0].line}
        attributes = plain(target)
        assert isinstance(attributes, dict)
        attributes.pop("target")
        rows.append({**row, "needs": [str(n) for n in dependencies.of(label)], "attributes": attributes})
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _graph(found: "Sequence[Label]", dependencies: "Dependencies") -> str:
    chosen = set(found)
    rows = ["digraph targets {", "  node [shape=box];"]
    for label in found:
        rows.append(f'  "{label}";')
        rows += [f'  "{label}" -> "{n}";' for n in dependencies.of(label) if n in chosen]
    return "\n".join([*rows, "}"])


_FORMATS: "dict[str, Callable[[Sequence[Label], Dependencies], str]]" = {
    "label": _labels,
    "label_kind": _kinds,
    "location": _locations,
    "json": _json,
    "graph": _graph,
}
