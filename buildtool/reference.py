"""Names of images, `[HOST/]PATH[:TAG][@DIGEST]`: distribution/reference's grammar and Docker's defaults.

Everything that reads such a name reads it here: `FROM`, named contexts, names of the store,
references to registries.  A first part is a host if it has a dot or a port, is `localhost`, or
has a capital letter; without one the host is `docker.io`, where a path of one part lies below
`library/`.
"""

import re
from dataclasses import dataclass, replace

from buildtool.digest import Digest, parse_digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
HOST = rf"(?:\[[0-9a-fA-F:]+\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]+)?"
PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_HOST = re.compile(HOST)
_REST = re.compile(rf"(?P<path>{PATH})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?")

#: Characters of the longest path, and of any text that is looked at.
LONGEST = 255
_LONGEST_TEXT = 4096

DOCKER = "docker.io"
_LEGACY = "index.docker.io"
_OFFICIAL = "library/"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by its whole name: a tag, a digest, or both, where the digest decides."""

    host: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """`HOST/PATH`."""
        return f"{self.host}/{self.path}"

    @property
    def version(self) -> str:
        """What stands for the image in requests: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def short(self) -> str:
        """As people write it: without what Docker's defaults would add."""
        name = self.repository
        if self.host == DOCKER:
            official = self.path.removeprefix(_OFFICIAL)
            name = self.path if "/" in official else official
        return f"{name}{self._ending}"

    @property
    def _ending(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag

    def at(self, digest: Digest) -> "Reference":
        """The same image, named by a digest alone."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        return f"{self.repository}{self._ending}"


def read(text: str) -> Reference | None:
    """The reference that `text` spells, without a tag where it has none; None for what is no name.

    BuildError `bad-digest` for a digest other than sha256.
    """
    host, rest = split_host(text)
    found = _REST.fullmatch(rest) if len(text) <= _LONGEST_TEXT else None
    if found is None or (host and not _HOST.fullmatch(host)):
        return None
    path, tag, digest = found.group("path", "tag", "digest")
    if host in ("", DOCKER, _LEGACY):
        host, path = DOCKER, path if "/" in path else _OFFICIAL + path
    if len(path) > LONGEST:
        return None
    return Reference(host, path, tag or "", parse_digest(digest) if digest else None)


def split_host(text: str) -> tuple[str, str]:
    """What would be the host of a name, empty if it has none, and what follows it."""
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return first, rest
    return "", text
