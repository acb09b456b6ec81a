"""`buildtool logout`: forget the login of a registry."""

import click


@click.command("logout")
@click.argument("host", default="docker.io", metavar="[HOST]")
@click.option("--authfile", default="", metavar="FILE", help="The file of logins. [default: docker's file]")
def command(host: str, authfile: str) -> None:
    """Forget the login of a registry (docker.io if none is named)."""
    import os

    from buildtool.registry.credentials import Keyring
    from buildtool.registry.login import forget, host_of

    name = host_of(host)
    gone = forget(Keyring(os.environ, authfile), name, os.environ)
    click.echo(f"logged out of {name}" if gone else f"there was no login for {name}")
