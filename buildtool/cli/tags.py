"""`buildtool tags`: the tags of a repository in a registry."""

import json

import click

from buildtool.cli.access import DOCKER, Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError


@click.command("tags", cls=SwitchCommand)
@click.argument("name", metavar="[docker://]HOST/PATH")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    metavar="FORMAT",
    help="text, or json as skopeo list-tags has it. [default: text]",
)
@access_options
def command(name: str, form: str, access: Access) -> None:
    """List the tags of a repository in a registry, a row each."""
    from buildtool.cli.progress.wording import printable
    from buildtool.cli.remote import tags_at
    from buildtool.registry.reference import parse_reference

    reference = parse_reference(name.removeprefix(DOCKER), default_tag="")
    if reference.version:
        raise BuildError(
            "bad-usage", f"{name} is one image", hint=f"its repository is {reference.repository}"
        )
    found = tags_at(reference, access.to([reference.host]))
    if form == "json":
        click.echo(json.dumps({"Repository": reference.repository, "Tags": found}, indent=4))
    elif found:
        click.echo("\n".join(map(printable, found)))
    else:
        click.echo(f"no tags in {reference.repository}", err=True)
