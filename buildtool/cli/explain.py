"""`buildtool explain`: why a target would be built again, compared with its last build."""

from typing import Any

import click

from buildtool.cli.access import access_options
from buildtool.cli.options import request_of, subject_options
from buildtool.cli.switches import SwitchCommand


@click.command("explain", cls=SwitchCommand)
@subject_options
@access_options
@click.option(
    "--all", "everything", is_flag=True, help="Also tell the steps that change through their inputs."
)
def command(*, everything: bool, **options: Any) -> None:
    """Say why a target would be built again.

    Compares what would be built now with what was built last: which steps are not the same any
    more, and which of their fields or files differ. Nothing is built.
    """
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session

    with choose("plain") as view, Session(request_of(**options), view) as session:
        for root in session.roots():
            title = root.origin.title if root.origin else "the image"
            found = session.accounts().changes(root)
            if found is None:
                click.echo(f"{title}: was not built here before")
            elif not found:
                click.echo(f"{title}: nothing changed since it was built")
            else:
                click.echo(f"{title}: {len(found)} of its steps changed since it was built")
                for change in found:
                    if everything or not change.inherited:
                        place = f"  ({change.entry.place})" if change.entry.place else ""
                        click.echo(f"  {' '.join(change.entry.title.split())}{place}")
                        for reason in change.reasons:
                            click.echo(f"    {reason}")
