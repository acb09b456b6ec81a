"""The image that a command is about: built first where it is a target, its layers brought to the store."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildtool.cli.access import DOCKER, Access
from buildtool.graph.model import Image, ImageSource

if TYPE_CHECKING:
    from buildtool.cli.places import Place
    from buildtool.digest import Digest
    from buildtool.executor.work import LayerRef
    from buildtool.store import Store


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image with its layers, lowest first, all of them in the store."""

    image: Image
    layers: "tuple[LayerRef, ...]"


def chosen(text: str, store: "Store", platform: str, access: Access) -> Chosen:
    """The image at a place, of a target, or of a registry; BuildErrors of whatever stands in the way."""
    from buildtool.cli.hub import pulled
    from buildtool.cli.places import Place, parse_place
    from buildtool.cli.request import is_label

    access = access.to_places(text)
    if is_label(text):
        where = Place("", digest=_built(text, platform, access))
    elif text.startswith(DOCKER):
        where = Place("", digest=pulled(text, platform, access))
    else:
        where = parse_place(text)
    image = image_of(where, store, platform)
    return Chosen(image, layers_of(image, store))


def _built(label: str, platform: str, access: Access) -> "Digest":
    """The manifest of a target, built as `buildtool build` does."""
    from buildtool.cli.platforms import parse_platform
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.request import BuildRequest, LabelSubject, parse_epoch
    from buildtool.cli.session import Session

    request = BuildRequest(
        LabelSubject((label,), os.getcwd()),
        (parse_platform(platform),),
        parse_epoch(None, os.environ),
        jobs=len(os.sched_getaffinity(0)),
        access=access,
    )
    with choose("auto") as view, Session(request, view) as session:
        return session.build().images[0].manifest


def image_of(where: "Place", store: "Store", platform: str) -> Image:
    """The image at a place, as it was built."""
    from buildtool.cli.places import find, layout_at
    from buildtool.cli.platforms import parse_platform
    from buildtool.oci.reference import LayoutReference
    from buildtool.oci.source import base_image

    wanted = parse_platform(platform)
    descriptor = find(where, layout_at(where, store), wanted)
    return base_image(LayoutReference(where.path or store.path, "", descriptor.digest), wanted)


def layers_of(image: Image, store: "Store") -> "tuple[LayerRef, ...]":
    """The layers of an image, brought into the store where they are not there yet."""
    from buildtool.executor.work import LayerRef
    from buildtool.oci.layout import copy_blob
    from buildtool.oci.source import layout_of

    source = image.rootfs
    if source is None:
        return ()
    assert isinstance(source, ImageSource)
    for layer in source.layers:
        if not store.blobs.has(layer.digest):
            copy_blob(layout_of(source.location), layer.digest, store.blobs, lambda done, total: None)
    return tuple(LayerRef(layer.diff_id, layer.digest, layer.size) for layer in source.layers)
