"""`buildtool save`: images of the store as one archive."""

from typing import TYPE_CHECKING

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.oci.export import Export
    from buildtool.oci.layout import Layout
    from buildtool.store import Store

FORMATS = ("docker-archive", "oci-archive")


@click.command("save")
@click.option("-o", "--output", default="-", metavar="FILE", help="The archive. [default: standard output]")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="docker-archive",
    metavar="FORMAT",
    help="docker-archive (for docker load and podman load) or oci-archive. [default: docker-archive]",
)
@click.option("--platform", default="", metavar="OS/ARCH", help="Of several images, the one for it alone.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|sha256:DIGEST...")
def command(output: str, form: str, platform: str, names: tuple[str, ...]) -> None:
    """Write images into an archive; the same images always give the same bytes.

    Both formats hold an OCI layout with all digests; docker-archive has what older programs read
    besides, and takes one platform of an image.
    """
    from buildtool.cli.writing import to_file
    from buildtool.oci.archive import write_archive
    from buildtool.oci.layout import open_layout
    from buildtool.store import Store

    with Store.open() as store:
        found = exports_of(store, open_layout(store.path), names, platform)
        docker = form == "docker-archive"
        to_file(output, lambda sink: write_archive(sink, found, store.blobs, docker=docker))


def exports_of(store: "Store", layout: "Layout", names: tuple[str, ...], platform: str) -> "list[Export]":
    """What an archive of these images holds: each once, under all the names that it was asked for by."""
    from buildtool.cli.stored import Stored, find_stored, for_platform
    from buildtool.digest import Digest

    found: dict[Digest, list[Stored]] = {}
    for text in dict.fromkeys(names):
        stored = find_stored(store, layout, text)
        if platform:
            stored = for_platform(layout, stored, platform)
        found.setdefault(stored.descriptor.digest, []).append(stored)
    exports = [group[0].export(*(s.name for s in group[1:] if s.name)) for group in found.values()]
    if not exports:
        raise BuildError("bad-usage", "no image to save")
    return exports
