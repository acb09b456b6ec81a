"""`buildtool keygen`: a key to sign statements with."""

import os

import click

from buildtool.diag import BuildError

_KINDS = ("ed25519", "ecdsa-p256")


@click.command("keygen")
@click.argument("name", metavar="NAME")
@click.option(
    "--kind", type=click.Choice(_KINDS), default="ed25519", metavar="KIND", help="ed25519 or ecdsa-p256."
)
def command(name: str, kind: str) -> None:
    """Make a key: NAME.pem, which signs and stays secret, and NAME.pub, for everybody else.

    Keys of openssl do as well: openssl genpkey -algorithm ed25519.
    """
    from buildtool.attest.keys import generate

    private, public = generate(kind)
    for path, data, mode in ((f"{name}.pem", private, 0o600), (f"{name}.pub", public, 0o644)):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
        except FileExistsError as error:
            raise BuildError(
                "key-exists",
                f"{path} is there already",
                hint="a key that is lost is lost: choose another NAME",
            ) from error
        except OSError as error:
            raise BuildError(
                "output-failed", f"cannot write {path}: {error.strerror}", exit_status=1
            ) from error
    click.echo(f"{name}.pem signs, {name}.pub verifies")
