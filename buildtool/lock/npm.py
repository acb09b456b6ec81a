"""What a package-lock.json asks of an npm registry, and the archives that answer it.

An archive is named by its path in a registry and its digest, never by the registry's
host: `urls` are places such as `npm:ms/-/ms-2.1.3.tgz`.
"""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest

#: A Subresource Integrity value (W3C SRI): the strongest hash that npm writes, or its oldest.
_INTEGRITY = re.compile(r"(sha512|sha384|sha256|sha1)-([A-Za-z0-9+/]{27,88}={0,2})")
_PLACE = re.compile(r"(npm:[A-Za-z0-9@~][A-Za-z0-9@._~/%+-]*|https?://[^\s\"\\]+)")


@dataclass(frozen=True, slots=True)
class NodeArchive:
    """An archive that package-lock.json names: its place (`npm:PATH`, or an address) and its integrity."""

    place: str
    integrity: str

    def __post_init__(self) -> None:
        if not _PLACE.fullmatch(self.place) or ".." in self.place.split("/"):
            raise BuildError("bad-package-lock", f"{self.place!r} is not a place in a registry")
        if not _INTEGRITY.fullmatch(self.integrity):
            raise BuildError("bad-package-lock", f"{self.integrity!r} is not an integrity of npm's")


@dataclass(frozen=True, slots=True)
class NodePin:
    """What an archive turned out to be; `size` in bytes."""

    archive: NodeArchive
    size: int
    digest: Digest

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the archive is, for `FetchSource.urls`."""
        return (self.archive.place,)

    @property
    def filename(self) -> str:
        """The last part of the place, for `FetchSource.name`."""
        return self.archive.place.partition("?")[0].rstrip("/").rpartition("/")[2] or "package.tgz"
