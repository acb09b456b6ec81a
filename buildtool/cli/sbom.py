"""`buildtool sbom`: what is in an image."""

import click

from buildtool.cli.access import DOCKER, Access, access_options
from buildtool.cli.switches import SwitchCommand


@click.command("sbom", cls=SwitchCommand)
@click.argument("place", metavar="NAME | sha256:DIGEST | oci:FOLDER | oci-archive:FILE | docker://NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(("spdx", "cyclonedx")),
    default="spdx",
    metavar="FORMAT",
    help="spdx (2.3) or cyclonedx (1.6), as JSON. [default: spdx]",
)
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@access_options
def command(place: str, form: str, platform: str, access: Access) -> None:
    """Print the bill of materials of an image: Debian, Python and npm packages, and every file.

    It is worked out from the layers, of any image, and is the same for the same image.
    """
    from buildtool.attest.sbom import sbom
    from buildtool.cli.hub import pulled
    from buildtool.cli.places import Place, find, layout_at, parse_place
    from buildtool.cli.platforms import parse_platform
    from buildtool.store import Store

    access = access.to_places(place)
    remote = place.startswith(DOCKER)
    where = Place("", digest=pulled(place, platform, access)) if remote else parse_place(place)
    with Store.open() as store:
        layout = layout_at(where, store)
        image = find(where, layout, parse_platform(platform))
        click.echo(sbom(layout, image, form), nl=False)
