"""`buildtool copy`: images from one place to another, over the transports of skopeo."""

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand


@click.command("copy", cls=SwitchCommand)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("--platform", default="", metavar="OS/ARCH", help="Of several images, the one for it alone.")
@click.option(
    "--progress",
    type=click.Choice(("auto", "plain", "tty", "rawjson", "quiet")),
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, rawjson, quiet.",
)
@access_options
def command(source: str, destination: str, platform: str, progress: str, access: Access) -> None:
    """Copy an image as it is: no byte of it changes, so its digest stays.

    \b
    SRC and DST are
      docker://HOST/PATH:TAG     an image of a registry
      oci:FOLDER[:TAG]           an image layout
      oci-archive:FILE[:TAG]     an archive of a layout
      docker-archive:FILE[:NAME] an archive of docker save
      dir:FOLDER                 the files of one image
      NAME                       an image of the store

    Of an image for several platforms all are copied, unless --platform names one.
    Prints the digest.
    """
    from buildtool.cli.hub import deliver, fetch, open_hub

    with open_hub(progress, access.to_places(source, destination)) as hub:
        found = fetch(hub, source, platform, whole=True)
        deliver(hub, found, destination)
    click.echo(found.descriptor.digest)
