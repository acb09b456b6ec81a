"""`buildtool graph`: the steps of a build as text."""

from typing import Any

import click

from buildtool.cli.access import access_options
from buildtool.cli.options import request_of, subject_options
from buildtool.cli.switches import SwitchCommand


@click.command("graph", cls=SwitchCommand)
@subject_options
@access_options
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "dot", "mermaid")),
    default="text",
    metavar="FORMAT",
    help="text, json, dot (Graphviz) or mermaid. [default: text]",
)
def command(*, form: str, **options: Any) -> None:
    """Print the graph that a build would carry out.

    Two builds with the same text give the same image. Inputs stand before the steps that use
    them; paths, names and places of this machine are not part of it.
    """
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session
    from buildtool.graph.draw import as_dot, as_json, as_mermaid
    from buildtool.graph.dump import dump

    forms = {"text": dump, "json": as_json, "dot": as_dot, "mermaid": as_mermaid}

    with choose("plain") as view, Session(request_of(**options), view) as session:
        click.echo(forms[form](list(session.roots())), nl=False)
