"""`buildtool export`: the root filesystem of an image, as files."""

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand


@click.command("export", cls=SwitchCommand)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE.tar|FOLDER",
    help="An archive, if it ends in .tar, else a folder. [default: an archive on standard output]",
)
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@access_options
@click.argument("place", metavar="IMAGE")
def command(output: str, platform: str, place: str, access: Access) -> None:
    """Write the files of an image, all layers together.

    IMAGE is a name of the store, a label (which is built first), oci:FOLDER, oci-archive:FILE,
    docker-archive:FILE, or docker://NAME of a registry. In an archive files keep their owners; in a
    folder they are yours.
    """
    from buildtool.cli.chosen import chosen
    from buildtool.cli.rootfs import Root, write_folder, write_tar
    from buildtool.cli.writing import to_file
    from buildtool.executor.flattening import flatten
    from buildtool.store import Store

    with Store.open() as store:
        image = chosen(place, store, platform, access)
        roots = [Root(image.image.platform, flatten(store, image.layers))]
        if output == "-" or output.endswith(".tar"):
            to_file(output, lambda sink: write_tar(sink, roots, store.blobs))
            return
        skipped = write_folder(output, roots, store.blobs)
    for path in skipped:
        name = path.decode("utf-8", "backslashreplace")
        click.echo(f"only root can make the device {name}: it is left out", err=True)
