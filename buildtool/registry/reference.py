"""References to images in registries: `HOST/PATH[:TAG][@DIGEST]`, with Docker's defaults.

The grammar is that of distribution/reference.  Without a host it is `docker.io`, where a
path of one part lies below `library/`; a first part is a host if it has a dot or a port,
is `localhost`, or has a capital letter.
"""

import re
from dataclasses import dataclass, replace

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = (
    r"(?:\[[0-9a-fA-F:]+\]|(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[0-9]+)?"
)
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
PATH = rf"{COMPONENT}(?:/{COMPONENT})*"
_REFERENCE = re.compile(
    rf"(?:(?P<host>{HOST})/)?(?P<path>{PATH})(?::(?P<tag>{TAG}))?(?:@(?P<digest>.*))?", re.ASCII
)

#: Characters of the longest name without tag and digest.
LONGEST = 255
DOCKER = "docker.io"
_DOCKER_NAMES = (DOCKER, "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image of a registry: a tag, a digest, or both, where the digest decides."""

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
            name = self.path.removeprefix("library/")
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


def parse_reference(text: str, *, default_tag: str = "latest") -> Reference:
    """The reference that `text` spells; BuildError `bad-image-name`, `bad-digest`.

    The default tag is for texts with neither tag nor digest.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise _bad(text)
    host, path = split_host(found["host"] or "", found["path"])
    if len(host) + 1 + len(path) > LONGEST:
        raise _bad(text)
    digest = parse_digest(found["digest"]) if found["digest"] is not None else None
    tag = found["tag"] or ("" if digest else default_tag)
    if host in ("", *_DOCKER_NAMES):
        host, path = DOCKER, path if "/" in path else f"library/{path}"
    return Reference(host, path, tag, digest)


def split_host(host: str, path: str) -> tuple[str, str]:
    """A host that is none, as Docker reads names, becomes the first part of the path."""
    if host and not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        return "", f"{host}/{path}"
    return host, path


def _bad(text: str) -> BuildError:
    lower = text.lower()
    hint = "an image of a registry is named HOST/PATH:TAG or HOST/PATH@sha256:..."
    if lower != text and _REFERENCE.fullmatch(lower):
        hint = f"names are in lower case: {lower}"
    return BuildError("bad-image-name", f"{text[:300]!r} does not name an image of a registry", hint=hint)
