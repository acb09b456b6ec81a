"""`buildtool provenance`: where an image comes from."""

import click


@click.command("provenance")
@click.argument("place", metavar="NAME | sha256:DIGEST | oci:FOLDER | oci-archive:FILE | docker://NAME")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
def command(place: str, platform: str) -> None:
    """Print where an image comes from: a SLSA v1 provenance, as an in-toto statement.

    It stands beside the image in a layout, or is known to the store that built it.
    """
    from buildtool.cli.told import provenance_of
    from buildtool.cli.whole import whole
    from buildtool.store import Store

    with Store.open() as store:
        layout, descriptor = whole(place, store, platform)
        click.echo(provenance_of(place, store, layout, descriptor.digest), nl=False)
