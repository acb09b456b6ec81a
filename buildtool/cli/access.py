"""How commands get at registries: the options of buildah and skopeo, and the client that they make."""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.registry.client import Registries


@dataclass(frozen=True, slots=True)
class Access:
    """The options in force; `tls_verify` None leaves it to the settings, `retry` counts further tries."""

    authfile: str = ""
    creds: str = field(default="", repr=False)
    tls_verify: bool | None = None
    retry: int = 3

    def registries(self, folder: str, hosts: Iterable[str] = ()) -> "Registries":
        """The client, for a folder that may have a buildtool.toml; `--creds` are for these hosts alone."""
        from buildtool.registry.client import open_registries
        from buildtool.registry.credentials import parse_creds

        fixed = {}
        if self.creds:
            credential = parse_creds(self.creds)
            fixed = dict.fromkeys(hosts, credential)
            if len(fixed) != 1:
                raise BuildError(
                    "bad-usage",
                    f"--creds is for one registry, and here are {len(fixed) or 'none'}",
                    hint="buildtool login HOST keeps a login for each",
                )
        return open_registries(
            folder,
            os.environ,
            authfile=self.authfile,
            fixed=fixed,
            tls_verify=self.tls_verify,
            tries=self.retry + 1,
        )


_OPTIONS = (
    click.option(
        "--authfile",
        default="",
        metavar="FILE",
        help="The file of logins. [default: docker's and podman's]",
    ),
    click.option("--creds", default="", metavar="USER:PASSWORD", help="A login for the registry named here."),
    click.option(
        "--tls-verify/--no-tls-verify",
        default=None,
        help="Whether registries need a certificate. [default: unless on this machine]",
    ),
    click.option(
        "--retry",
        type=click.IntRange(0, 20),
        default=3,
        metavar="N",
        help="Tries after the first.",
        show_default=True,
    ),
)


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options on registries, together as its argument `access`."""

    @functools.wraps(command)
    def with_access(*, authfile: str, creds: str, tls_verify: bool | None, retry: int, **others: Any) -> Any:
        return command(access=Access(authfile, creds, tls_verify, retry), **others)

    decorated: Callable[..., Any] = with_access
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
