"""`buildtool provenance`: where an image comes from."""

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand


@click.command("provenance", cls=SwitchCommand)
@click.argument("place", metavar="NAME | sha256:DIGEST | oci:FOLDER | oci-archive:FILE | docker://NAME")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@access_options
def command(place: str, platform: str, access: Access) -> None:
    """Print where an image comes from: a SLSA v1 provenance, as an in-toto statement.

    It stands beside the image in a layout, or is known to the store that built it.
    """
    from buildtool.cli.told import provenance_of
    from buildtool.cli.whole import whole
    from buildtool.store import Store

    access = access.to_places(place)
    with Store.open() as store:
        layout, descriptor = whole(place, store, access, platform)
        click.echo(provenance_of(place, store, layout, descriptor.digest, access), nl=False)
