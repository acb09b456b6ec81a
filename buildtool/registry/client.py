"""The client: registries as this machine is set up to use them."""

import os
import threading
from collections.abc import Callable, Mapping

from buildtool.diag import BuildError, Note
from buildtool.proxy import environment_proxies
from buildtool.reference import Reference
from buildtool.registry.credentials import Credential, Keyring
from buildtool.registry.fault import Fault, error_of
from buildtool.registry.pools import Pools
from buildtool.registry.repository import Document, Repository
from buildtool.registry.settings import Settings, find_settings
from buildtool.registry.wire import Wire


class Registries:
    """Hands out repositories that share connections and tokens; may be used from many threads.

    Settings are only read when the first repository is asked for.
    """

    def __init__(self, make: Callable[[], tuple[Wire, Settings]]) -> None:
        self._make = make
        self._made: tuple[Wire, Settings] | None = None
        self._guard = threading.Lock()

    def writing(self, reference: Reference) -> Repository:
        """The repository that an image is pushed to; BuildError `registry-blocked`."""
        wire, settings = self._parts()
        return Repository(wire, settings.write_place(reference))

    def reading(self, reference: Reference) -> tuple[Repository, ...]:
        """The repositories to look for an image in, mirrors first; BuildError `registry-blocked`."""
        wire, settings = self._parts()
        return tuple(Repository(wire, place) for place in settings.read_places(reference))

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

    def _parts(self) -> tuple[Wire, Settings]:
        with self._guard:
            if self._made is None:
                self._made = self._make()
            return self._made


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

    def make() -> tuple[Wire, Settings]:
        pools = Pools(environment_proxies(environ), environ)
        wire = Wire(Keyring(environ, authfile, fixed), pools, tries=tries)
        return wire, find_settings(folder, environ, tls_verify)

    return Registries(make)
