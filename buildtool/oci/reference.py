"""References to images in layouts, in buildx's notation: `oci-layout://PATH[:TAG][@DIGEST]`."""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.reference import TAG

SCHEME = "oci-layout://"
#: What `ImageSource.location` begins with for an image of a layout.
LOCATION = "oci-layout:"

_TAG = re.compile(TAG)


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """An image of a layout; empty `tag` and no `digest` mean the one that is there."""

    path: str
    tag: str = ""
    digest: Digest | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{SCHEME}{self.path}{tag}{digest}"


def parse_layout_reference(text: str) -> LayoutReference:
    """The reference that `text` spells; BuildError `bad-layout-reference`, `bad-digest`.

    A colon in the last part of the path begins a tag; a folder with a colon in its
    name can be referred to with a slash behind it.
    """
    if not text.startswith(SCHEME):
        raise _bad(text, f"it does not begin with {SCHEME}")
    path, at, pinned = text[len(SCHEME) :].partition("@sha256:")
    digest = parse_digest(f"sha256:{pinned}") if at else None
    head, colon, tag = path.rpartition(":")
    if colon and "/" not in tag:
        if not _TAG.fullmatch(tag):
            raise _bad(text, f"{tag[:100]!r} is not a tag")
        path = head
    else:
        tag = ""
    if not path or "\0" in path:
        raise _bad(text, "it names no path")
    return LayoutReference(path, tag, digest)


def _bad(text: str, why: str) -> BuildError:
    return BuildError(
        "bad-layout-reference",
        f"{text[:200]!r} does not refer to an image in a layout: {why}",
        hint="write oci-layout://PATH, oci-layout://PATH:TAG or oci-layout://PATH@sha256:...",
    )
