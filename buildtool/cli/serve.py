"""`buildtool serve`: the store as a registry for the programs of this machine."""

import os
import stat

import click

from buildtool.diag import BuildError

_VARIABLE = "BUILDTOOL_SERVE_LOGIN"


@click.command("serve")
@click.option("--listen", default="127.0.0.1:5000", metavar="HOST:PORT", show_default=True, help="Where.")
@click.option("--logins", default="", metavar="FILE", help="Who may use it: a line USER:PASSWORD each.")
@click.option("--read-only", is_flag=True, help="Take no pushes.")
@click.option("-v", "--verbose", is_flag=True, help="Tell of each request.")
def command(listen: str, logins: str, read_only: bool, verbose: bool) -> None:
    """Serve the store as a registry, so that docker, podman, kubernetes and others of this machine
    can pull what was just built, and push to it.

    The image app:1 of the store is HOST:PORT/app:1 there. A login may also be given as USER:PASSWORD in
    $BUILDTOOL_SERVE_LOGIN; without one, only addresses of this machine are listened at.
    """
    from buildtool.cli.progress.wording import printable
    from buildtool.registry.place import is_loopback
    from buildtool.registry.serve import Server
    from buildtool.store import Store

    host, port = _address(listen)
    known = _logins(logins)
    if not known and not is_loopback(host):
        raise BuildError(
            "bad-usage",
            f"{host} is not an address of this machine alone, and no login is asked for",
            hint=f"--logins FILE, or {_VARIABLE}=USER:PASSWORD",
        )
    with Store.open() as store:
        try:
            server = Server(
                host,
                port,
                store,
                logins=known,
                read_only=read_only,
                told=lambda line: click.echo(printable(line), err=True) if verbose else None,
            )
        except OSError as error:
            raise BuildError(
                "cannot-listen", f"{listen} cannot be listened at: {error.strerror}", exit_status=1
            ) from error
        click.echo(f"serving {store.path} at http://{server.address}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BuildError(
            "bad-usage", f"--listen {text!r} is not HOST:PORT", hint="for example 127.0.0.1:5000"
        )
    return host.strip("[]"), int(port)


def _logins(path: str) -> dict[str, str]:
    """Passwords by user, of a file that only its owner can read, and of the environment."""
    rows = [os.environ[_VARIABLE]] if os.environ.get(_VARIABLE) else []
    if path:
        try:
            with open(path, encoding="utf-8") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise BuildError("bad-usage", f"{path} can be read by others", hint=f"chmod 600 {path}")
                rows += [row.strip() for row in file if row.strip() and not row.startswith("#")]
        except (OSError, UnicodeDecodeError) as error:
            raise BuildError("bad-usage", f"{path} cannot be read") from error
    found = {}
    for row in rows:
        user, colon, password = row.partition(":")
        if not colon or not user or not password:
            raise BuildError("bad-usage", "a login is USER:PASSWORD, one a line")
        found[user] = password
    if path and not found:
        raise BuildError("bad-usage", f"{path} has no login")
    return found
