"""The client: registries as this machine is set up to use them."""

import os
from collections.abc import Mapping

from buildtool.diag import BuildError, Note
from buildtool.proxy import environment_proxies
from buildtool.registry.credentials import Credential, Keyring
from buildtool.registry.fault import Fault, error_of
from buildtool.registry.pools import Pools
from buildtool.registry.reference import Reference
from buildtool.registry.repository import Document, Repository
from buildtool.registry.settings import Settings, find_settings
from buildtool.registry.wire import Wire


class Registries:
    """Hands out repositories that share connections and tokens; may be used from many threads."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._wire = wire
        self._settings = settings

    def writing(self, reference: Reference) -> Repository:
        """The repository that an image is pushed to; BuildError `registry-blocked`."""
        return Repository(self._wire, self._settings.write_place(reference))

    def reading(self, reference: Reference) -> tuple[Repository, ...]:
        """The repositories to look for an image in, mirrors first; BuildError `registry-blocked`."""
        return tuple(Repository(self._wire, place) for place in self._settings.read_places(reference))

    def document(self, reference: Reference) -> Document:
        """The manifest or index that a reference means, from the first place that has it.

        BuildError `not-in-registry`, `registry-denied`, `registry-unreachable`,
        `registry-failed`, each with what every place said.
        """
        faults: list[tuple[Repository, Fault]] = []
        for repository in self.reading(reference):
            try:
                return repository.manifest(reference.version)
            except Fault as fault:
                faults.append((repository, fault))
        raise every_place(faults, f"cannot get {reference}")


def every_place(faults: list[tuple[Repository, Fault]], what: str) -> BuildError:
    """The error where no place served: the registry's own, with what its mirrors said as notes."""
    error = error_of(faults[-1][1], what)
    error.notes = tuple(Note(f"{repository}: {fault}") for repository, fault in faults[:-1])
    return error


def open_registries(
    folder: str | None,
    environ: Mapping[str, str] = os.environ,
    *,
    authfile: str = "",
    fixed: Mapping[str, Credential] | None = None,
    tls_verify: bool | None = None,
    tries: int = 4,
) -> Registries:
    """The registries as the files, the environment and the options of a command say.

    `folder` is where a buildtool.toml may be; `fixed` are credentials by host;
    `tls_verify` goes before the settings; `tries` bounds how often a request is sent.
    """
    keyring = Keyring(environ, authfile, fixed)
    pools = Pools(environment_proxies(environ), environ)
    return Registries(Wire(keyring, pools, tries=tries), find_settings(folder, environ, tls_verify))


def parse_creds(text: str) -> Credential:
    """`USER:PASSWORD`; BuildError `bad-usage`."""
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise BuildError("bad-usage", "--creds is USER:PASSWORD")
    return Credential(user, password)
