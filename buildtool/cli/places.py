"""Images that exist, as people name them: a name of the store, or a folder or archive by its transport."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildtool.cli.names import parse_name
from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.graph.model import Platform

if TYPE_CHECKING:
    from buildtool.oci.layout import Layout
    from buildtool.oci.model import Descriptor
    from buildtool.store import Store

#: skopeo's transports (containers-transports(5)) that are read here.
_TRANSPORTS = ("oci", "oci-archive", "docker-archive")
_OTHERS = ("docker", "docker-daemon", "dir", "containers-storage", "sif", "ostree")

_PREFIX = re.compile(r"sha256:[0-9a-f]{4,63}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image is: `path` of a layout, folder or archive (empty: the store), and which it is there.

    `prefix` is the beginning of a digest.
    """

    path: str
    tag: str = ""
    digest: Digest | None = None
    prefix: str = ""


def known_transport(text: str) -> bool:
    """Whether a text begins with one of skopeo's transports."""
    transport, colon, rest = text.partition(":")
    return bool(colon) and transport in (*_TRANSPORTS, *_OTHERS) and not rest.isdigit()


def parse_place(text: str) -> Place:
    """The place that `text` names.

    `oci:FOLDER[:TAG][@DIGEST]`, `oci-archive:FILE[:TAG][@DIGEST]`, `docker-archive:FILE[:NAME]`,
    a name of the store, or `sha256:...` of a manifest in the store, which may be cut short.
    """
    transport, colon, rest = text.partition(":")
    if _PREFIX.fullmatch(text):
        return Place("", prefix=text)
    if text.startswith("sha256:"):
        return Place("", digest=parse_digest(text))
    if colon and transport in _TRANSPORTS:
        if os.path.exists(rest):
            return Place(rest)
        if transport == "docker-archive":
            path, _, name = rest.partition(":")
            return Place(path, str(parse_name(name)) if name else "")
        from buildtool.oci.reference import parse_layout_reference

        found = parse_layout_reference(f"oci-layout://{rest}")
        return Place(found.path, found.tag, found.digest)
    if colon and transport in _OTHERS and not rest.isdigit():
        known = ", ".join(f"{name}:" for name in _TRANSPORTS)
        raise BuildError("not-yet", f"the transport {transport}: is not supported yet", hint=known)
    return Place("", parse_name(text).short)


def layout_at(place: Place, store: "Store") -> "Layout":
    """The open layout of a place; BuildError `bad-layout` where there is none."""
    from buildtool.oci.layout import open_layout

    return open_layout(place.path or store.path)


def whole_digest(layout: "Layout", text: str) -> Digest:
    """A digest that may be cut short, of an image in the index; BuildError `no-such-image`, `bad-digest`."""
    if not _PREFIX.fullmatch(text):
        return parse_digest(text)
    found = {entry.digest for entry in layout.index().manifests if entry.digest.startswith(text)}
    if len(found) != 1:
        raise BuildError(
            "no-such-image",
            f"{len(found) or 'no'} images begin with {text}",
            hint="buildtool images --digests shows digests whole",
        )
    return found.pop()


def find(place: Place, layout: "Layout", platform: Platform) -> "Descriptor":
    """The descriptor of the image manifest at a place; BuildError `no-such-image`, `no-such-platform`."""
    try:
        digest = whole_digest(layout, place.prefix) if place.prefix else place.digest
        return layout.resolve(place.tag, digest, platform)
    except BuildError as error:
        if not place.path and not place.prefix and error.code == "no-such-image":
            error.message = f"there is no image {place.tag or place.digest} in the store"
            error.hint = error.hint or "buildtool pull fetches an image by its name, build -t gives it one"
        raise
