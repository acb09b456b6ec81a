"""Names of images as people type them (`registry/name:tag`), and what they stand for."""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?"
)
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_NAME = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::(?P<tag>{_TAG}))?", re.ASCII
)

LONGEST = 255
#: What Docker takes for the registry that a name without one means.
_DEFAULT_HOSTS = ("docker.io", "index.docker.io")


@dataclass(frozen=True, slots=True)
class ImageName:
    """A name with a tag: `short` as the user thinks of it, `full` as registries do."""

    host: str
    path: str
    tag: str

    @property
    def short(self) -> str:
        """Without the registry where it is the default one: `app:latest`, `ghcr.io/me/app:1`."""
        host = f"{self.host}/" if self.host else ""
        return f"{host}{self.path}:{self.tag}"

    @property
    def full(self) -> str:
        """With registry: `docker.io/library/app:latest` (the reference grammar of distribution)."""
        if self.host:
            return self.short
        path = self.path if "/" in self.path else f"library/{self.path}"
        return f"docker.io/{path}:{self.tag}"


def parse_name(text: str) -> ImageName:
    """The name that `text` says, with tag `latest` where it has none; BuildError("bad-image-name")."""
    found = _NAME.fullmatch(text)
    if found is None or len(text) > LONGEST:
        raise BuildError("bad-image-name", f"{text!r} is not a name for an image", hint=_advice(text))
    host, path, tag = found["host"] or "", found["path"], found["tag"] or "latest"
    if host and not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        # As Docker reads it: without a dot or a port, the first part is no registry.
        host, path = "", f"{host}/{path}"
    if host in _DEFAULT_HOSTS:
        host, path = "", path.removeprefix("library/")
    return ImageName(host, path, tag)


def _advice(text: str) -> str:
    if "@" in text:
        return "a digest comes out of a build; a name has a tag at most"
    if text.lower() != text and _NAME.fullmatch(text.lower()):
        return f"names are in lower case: {text.lower()}"
    return "a name looks like app, app:1.0 or registry.example/team/app:1.0"
