"""`buildtool pull`: images of registries into the store."""

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

_MODES = ("auto", "plain", "tty", "rawjson", "quiet")


@click.command("pull", cls=SwitchCommand)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="The platform to pull for. [default: this one]"
)
@click.option("--all-platforms", is_flag=True, help="Pull the images of all platforms, and their index.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the digest.")
@click.option(
    "--progress",
    type=click.Choice(_MODES),
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, rawjson, quiet.",
)
@access_options
def command(
    names: tuple[str, ...], platform: str, all_platforms: bool, quiet: bool, progress: str, access: Access
) -> None:
    """Pull images from registries into the store, under their names.

    Every byte is held against its digest. What the store has is not transferred again. Prints the
    digest of each image.
    """
    from buildtool.cli.hub import from_registry, open_hub
    from buildtool.registry.reference import parse_reference

    if platform and all_platforms:
        raise BuildError("bad-usage", "--platform and --all-platforms contradict each other")
    references = [parse_reference(name.removeprefix("docker://")) for name in names]
    access = access.to(reference.host for reference in references)
    with open_hub("quiet" if quiet else progress, access) as hub:
        for reference in references:
            found = from_registry(hub, reference, platform, whole=all_platforms)
            if reference.tag:
                hub.store.results.set_ref(reference.short, found.digest)
            click.echo(found.digest if quiet else f"{reference.short}  {found.digest}")
