"""How commands get at registries: the options of buildah and skopeo, and the client that they make."""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.registry.client import Registries


#: What a place begins with that is an image of a registry, as in containers-transports(5).
DOCKER = "docker://"


@dataclass(frozen=True, slots=True)
class Access:
    """The options in force; `tls_verify` None leaves it to the settings, `retry` counts further tries.

    `creds` are for the registry `host` alone: one that the command line names, never one that a
    file of the build or an answer leads to.
    """

    authfile: str = ""
    creds: str = field(default="", repr=False)
    tls_verify: bool | None = None
    retry: int = 3
    host: str = ""

    def to(self, hosts: Iterable[str]) -> "Access":
        """The same for a command that names these registries; BuildError if `--creds` has not just one."""
        if not self.creds:
            return self
        found = list(dict.fromkeys(hosts))
        if len(found) != 1:
            raise BuildError(
                "bad-usage",
                f"--creds is for the one registry that a command names, and here are {len(found) or 'none'}",
                hint="buildtool login HOST keeps a login for each",
            )
        return replace(self, host=found[0])

    def to_places(self, *places: str) -> "Access":
        """The same for a command that names these places, of which those `docker://...` are in registries."""
        return self.to(hosts_of(places))

    def registries(self, folder: str) -> "Registries":
        """The client, for a folder that may have a buildtool.toml."""
        from buildtool.registry.client import open_registries
        from buildtool.registry.credentials import parse_creds

        return open_registries(
            folder,
            os.environ,
            authfile=self.authfile,
            fixed={self.host: parse_creds(self.creds)} if self.host else {},
            tls_verify=self.tls_verify,
            tries=self.retry + 1,
        )

    def arguments(self) -> tuple[str, ...]:
        """The options for another command that fetches what this one is about; `--creds` stay here."""
        tls = () if self.tls_verify is None else ("--tls-verify" if self.tls_verify else "--no-tls-verify",)
        files = ("--authfile", os.path.abspath(self.authfile)) if self.authfile else ()
        return (*files, *tls, "--retry", str(self.retry))


def hosts_of(places: Iterable[str]) -> Iterable[str]:
    """The registries among some places; BuildError `bad-image-name`."""
    from buildtool.registry.reference import parse_reference

    return (parse_reference(p.removeprefix(DOCKER)).host for p in places if p.startswith(DOCKER))


_OPTIONS = (
    click.option(
        "--authfile",
        default="",
        metavar="FILE",
        help="The file of logins. [default: docker's and podman's]",
    ),
    click.option(
        "--creds", default="", metavar="USER:PASSWORD", help="A login for the one registry named here."
    ),
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
