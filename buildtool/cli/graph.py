"""`buildtool graph`: the steps of a build as text."""

from typing import Any

import click

from buildtool.cli.options import request_of, subject_options


@click.command("graph")
@subject_options
def command(**options: Any) -> None:
    """Print the graph that a build would carry out.

    Two builds with the same text give the same image. Inputs stand before the steps that use
    them; paths, names and places of this machine are not part of it.
    """
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session
    from buildtool.graph.dump import dump

    with choose("plain") as view, Session(request_of(**options), view) as session:
        click.echo(dump(list(session.roots())), nl=False)
