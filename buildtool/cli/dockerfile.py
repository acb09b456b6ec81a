"""`buildtool dockerfile ast`: how a Dockerfile is read."""

import click


@click.group("dockerfile")
def command() -> None:
    """Show how a Dockerfile is read."""


@command.command("ast")
@click.argument("dockerfile", default="Dockerfile", metavar="[FILE]")
@click.option(
    "--format",
    "form",
    type=click.Choice(("tree", "json", "sexpr")),
    default="tree",
    metavar="FORMAT",
    help="tree, json, or sexpr: the S-expressions that BuildKit's parser dumps.",
)
def ast(dockerfile: str, form: str) -> None:
    """Print the syntax tree of a Dockerfile; - is standard input.

    Nothing in it is expanded or resolved. Places are LINE:COLUMN-COLUMN, or LINE:COLUMN-LINE:COLUMN.
    """
    import os

    from buildtool.cli.contexts import read_dockerfile
    from buildtool.frontends.dockerfile import outline, sexpr
    from buildtool.frontends.dockerfile.parse import parse

    name = "Dockerfile" if dockerfile == "-" else os.path.normpath(dockerfile)
    file = parse(read_dockerfile(dockerfile, None), name)
    show = {"tree": outline.as_tree, "json": outline.as_json, "sexpr": sexpr.sexpr}
    click.echo(show[form](file), nl=False)
