"""`buildtool login`: keep the login of a registry, once it has proved right."""

import sys

import click

from buildtool.cli.access import Access
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

_LONGEST = 64 << 10


@click.command("login", cls=SwitchCommand)
@click.argument("host", default="docker.io", metavar="[HOST]")
@click.option("-u", "--username", default="", metavar="USER", help="The account.")
@click.option("-p", "--password", default="", metavar="PASSWORD", help="Its password; others may see it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--authfile", default="", metavar="FILE", help="Where it is kept. [default: docker's file]")
@click.option(
    "--tls-verify/--no-tls-verify",
    default=None,
    help="Whether the registry needs a certificate. [default: unless it is this machine]",
)
def command(
    host: str, username: str, password: str, password_stdin: bool, authfile: str, tls_verify: bool | None
) -> None:
    """Log in to a registry (docker.io if none is named), and keep the login for later commands.

    It is kept where docker keeps it: by a credential helper if one is set up, else in
    ~/.docker/config.json.
    """
    import os

    from buildtool.registry.credentials import Credential, Keyring
    from buildtool.registry.login import check_login, host_of, keep

    name = host_of(host)
    if password_stdin and password:
        raise BuildError("bad-usage", "--password and --password-stdin contradict each other")
    if password_stdin and not username:
        raise BuildError("bad-usage", "--password-stdin needs --username")
    user = username or _ask("Username")
    secret = _from_stdin() if password_stdin else password or _ask("Password", hide=True)
    credential = Credential(user, secret)
    access = Access(authfile, f"{user}:{secret}", tls_verify, host=name)
    check_login(access.registries(os.getcwd()), name)
    where = keep(Keyring(os.environ, authfile), name, credential, os.environ)
    click.echo(f"logged in to {name} as {user}; kept {where}")


def _ask(what: str, *, hide: bool = False) -> str:
    if not sys.stdin.isatty():
        raise BuildError(
            "bad-usage",
            f"there is no terminal to ask for the {what.lower()} on",
            hint="-u and --password-stdin",
        )
    return str(click.prompt(what, hide_input=hide, err=True))


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(_LONGEST + 1)
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _LONGEST:
        raise BuildError("bad-usage", "there is no password on standard input")
    return text
