"""`buildtool images`: the images of the store, by name."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.oci.layout import Layout
    from buildtool.store import Store

_SHORT = len("sha256:") + 12


@dataclass(frozen=True, slots=True)
class Listed:
    """A name and what stands behind it; `problem` is the code of what cannot be read."""

    name: str
    digest: "Digest"
    platforms: tuple[str, ...] = ()
    size: int = 0
    created: str = ""
    problem: str = ""


@click.command("images")
@click.option("--digests", is_flag=True, help="Show digests whole.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    metavar="FORMAT",
    help="table or json. [default: table]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but digests.")
@click.argument("pattern", required=False, metavar="[PATTERN]")
def command(digests: bool, form: str, quiet: bool, pattern: str | None) -> None:
    """List the images of the store that have a name.

    PATTERN chooses names; * stands for any characters, and a name without a tag for all its tags.
    """
    from buildtool.store import Store

    with Store.open() as store:
        found = [image for image in listed(store) if _matches(image.name, pattern)]
    if quiet:
        for digest in dict.fromkeys(image.digest for image in found):
            click.echo(digest)
    elif form == "json":
        click.echo(json.dumps([_record(image) for image in found], indent=2))
    elif found:
        click.echo("\n".join(table(found, digests=digests)))
    else:
        click.echo("no images" if pattern is None else f"no images named {pattern}", err=True)


def listed(store: "Store") -> list[Listed]:
    """Every name of the store in order, also those whose image is damaged."""
    from buildtool.oci.layout import open_layout

    refs = store.results.refs()
    layout = open_layout(store.path)
    return [_look(layout, name, digest) for name, digest in refs.items()]


def _look(layout: "Layout", name: str, digest: "Digest") -> Listed:
    from buildtool.diag import BuildError
    from buildtool.oci.facts import facts_of

    try:
        entry = layout.entry(digest)
        if entry is None:
            return Listed(name, digest, problem="missing-blob")
        facts = facts_of(layout, entry)
    except BuildError as error:
        return Listed(name, digest, problem=error.code)
    return Listed(name, digest, tuple(facts.platforms), facts.size, facts.created)


def table(images: list[Listed], *, digests: bool) -> list[str]:
    """The rows of the table, the heading first."""
    from buildtool.cli.progress.wording import printable, size

    rows = [("NAME", "DIGEST", "PLATFORM", "SIZE", "CREATED")]
    for image in images:
        digest = image.digest if digests else image.digest[:_SHORT]
        if image.problem:
            rows.append((image.name, digest, f"({image.problem})", "-", "-"))
            continue
        created = image.created.partition(".")[0].removesuffix("Z").replace("T", " ") or "-"
        platforms = ", ".join(image.platforms) or "-"
        rows.append((image.name, digest, platforms, size(image.size), created))
    return columns([tuple(printable(cell) for cell in row) for row in rows], right=(3,))


def columns(rows: list[tuple[str, ...]], right: tuple[int, ...] = ()) -> list[str]:
    """Rows of cells below each other, two spaces between columns; those of `right` flush right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(widths[n]) if n in right else cell.ljust(widths[n]) for n, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _matches(name: str, pattern: str | None) -> bool:
    from fnmatch import fnmatchcase

    return pattern is None or fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(":")[0], pattern)


def _record(image: Listed) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": image.name,
        "digest": image.digest,
        "platforms": list(image.platforms),
        "size": image.size,
        "created": image.created or None,
    }
    return record | ({"problem": image.problem} if image.problem else {})
