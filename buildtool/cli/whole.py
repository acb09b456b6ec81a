"""An image as it was published: the index of several platforms, or the manifest of one."""

from typing import TYPE_CHECKING

from buildtool.cli.access import DOCKER, Access
from buildtool.digest import Digest, parse_digest

if TYPE_CHECKING:
    from buildtool.oci.layout import Layout
    from buildtool.oci.model import Descriptor
    from buildtool.store import Store


def is_published(text: str) -> bool:
    """Whether an argument names an image that exists, rather than something to build."""
    return text.startswith(("sha256:", "oci:", "oci-archive:", "docker://")) or "@sha256:" in text


def whole(text: str, store: "Store", access: Access, platform: str = "") -> "tuple[Layout, Descriptor]":
    """What a place names, whole: an index is not taken apart unless a platform is asked for.

    Of an image in a registry (`docker://...`) the documents are brought to the store, its layers are not.
    """
    from buildtool.cli.places import find, layout_at, parse_place
    from buildtool.cli.platforms import parse_platform

    if text.startswith(DOCKER):
        from buildtool.cli.places import Place
        from buildtool.cli.remote import published

        where = Place("", digest=published(text, store, access).digest)
    else:
        where = parse_place(text)
    layout = layout_at(where, store)
    if platform:
        return layout, find(where, layout, parse_platform(platform))
    return layout, layout.named(where.tag, where.digest)


def digest_of(text: str) -> Digest | None:
    """The digest that `NAME@sha256:...` or `sha256:...` says: the image need not be here."""
    name, at, digest = text.rpartition("@")
    if at and not name.startswith(("oci:", "oci-archive:", "docker:")):
        return parse_digest(digest)
    if text.startswith("sha256:"):
        return parse_digest(text)
    return None
