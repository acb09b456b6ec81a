"""Statements of rebuilders: gathered from files, folders, layouts and registries, and judged."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from buildtool.attest.accept import Acceptance, judge
from buildtool.attest.dsse import LARGEST, MEDIA_TYPE
from buildtool.attest.trusted import read_trusted
from buildtool.cli.access import DOCKER, Access
from buildtool.cli.progress.wording import printable
from buildtool.cli.whole import digest_of, whole
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.store import Store

#: Files of a folder, and bytes of a file, that are read as statements.
_MOST_FILES = 10_000
_LARGEST_FILE = 64 << 20
_ENDINGS = (".json", ".jsonl", ".dsse")


def accepted(
    text: str, sources: Sequence[str], keys: Sequence[str], threshold: int, form: str, access: Access
) -> int:
    """Judge an image by the statements of others, tell the verdict, and return the exit status.

    An image that is here is looked at as well, to its last byte.
    """
    if not keys:
        raise BuildError("bad-usage", "--statements needs --keys FILE: whose word counts?")
    trusted = read_trusted(keys)
    if threshold > len({key.owner for key in trusted}):
        raise BuildError("bad-usage", f"--threshold {threshold} asks for more rebuilders than --keys knows")
    digest, problems = _image(text, access)
    found = judge(digest, list(_gathered(sources, digest, access)), trusted, threshold, int(time.time()))
    if form == "json":
        _print_json(found, problems)
    else:
        click.echo("\n".join(printable(row) for row in _rows(text, found, problems)))
    return 0 if found.accepted and not problems else 1


def _image(text: str, access: Access) -> tuple[Digest, list[str]]:
    """The digest of an image, and what is wrong with its bytes where they are here."""
    from buildtool.oci.validate import validate_image

    digest = digest_of(text)
    if digest is not None:
        return digest, []
    with Store.open() as store:
        layout, descriptor = whole(text, store, access)
        # What a registry serves is verified whenever it is pulled, and not pulled here.
        problems = [] if text.startswith(DOCKER) else validate_image(layout, descriptor)
    return descriptor.digest, [f"{p.code}: {p.subject}: {p.message}" for p in problems]


# ---------------------------------------------------------------- where statements are


def _gathered(sources: Sequence[str], digest: Digest, access: Access) -> Iterator[tuple[str, bytes]]:
    for source in sources:
        path = source.removeprefix("oci:").removeprefix("oci-archive:")
        layout = os.path.isfile(os.path.join(path, "oci-layout")) or path != source
        if layout or source.startswith(DOCKER):
            yield from _beside(source if source.startswith(DOCKER) else path, digest, access)
        elif os.path.isdir(path):
            names = sorted(name for name in os.listdir(path) if name.endswith(_ENDINGS))
            for name in names[:_MOST_FILES]:
                yield from _of_file(os.path.join(path, name))
        else:
            yield from _of_file(path)


def _beside(place: str, digest: Digest, access: Access) -> Iterator[tuple[str, bytes]]:
    """The statements beside an image in a layout or a registry."""
    from buildtool.cli.told import beside_at
    from buildtool.oci.layout import open_layout

    with Store.open() as store:
        layout = open_layout(store.path if place.startswith(DOCKER) else place)
        for name, _, data in beside_at(place, store, layout, digest, MEDIA_TYPE, access):
            yield name, data


def _of_file(path: str) -> Iterator[tuple[str, bytes]]:
    """One envelope, or one a row."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BuildError("no-statements", f"cannot read {path}: {error.strerror}") from error
    if len(data) > _LARGEST_FILE:
        raise BuildError("no-statements", f"{path} has more than {_LARGEST_FILE} bytes")
    rows = [row for row in data.splitlines() if row.strip()]
    if len(rows) > 1 and all(row.startswith(b"{") and len(row) < LARGEST for row in rows):
        yield from ((f"{path}:{number}", row) for number, row in enumerate(rows, 1))
    else:
        yield path, data


# ---------------------------------------------------------------- in words


def _rows(text: str, found: Acceptance, problems: list[str]) -> list[str]:
    from buildtool.cli.console import style_of

    style = style_of(sys.stdout)
    good = found.accepted and not problems
    count = f"{len(found.owners)} of the {found.threshold} rebuilders that it takes"
    rows = [f"{style.bold}{text} is {'accepted' if good else 'refused'}{style.reset}"]
    rows.append(f"  {'digest':<10} {found.digest}")
    rows += [f"  {'damaged':<10} {problem}" for problem in problems]
    rows.append(f"  {'rebuilt by':<10} {', '.join(found.owners) or 'nobody'}: {count}")
    for one in found.judged:
        name = f"{one.place}" + (f" by {one.name}" if one.name else "")
        rows.append(
            f"  {'refused':<10} {name}: {one.why} [{one.refused}]"
            if one.refused
            else f"  {'counts':<10} {name}"
        )
    return rows


def _print_json(found: Acceptance, problems: list[str]) -> None:
    import json

    document: dict[str, Any] = {
        "digest": found.digest,
        "accepted": found.accepted and not problems,
        "threshold": found.threshold,
        "rebuilders": list(found.owners),
        "damaged": problems,
        "statements": [
            {"place": j.place, "key": j.name, "refused": j.refused, "why": j.why} for j in found.judged
        ],
    }
    click.echo(json.dumps(document, indent=2))
