"""Images of layouts as sources of the graph: what `FROM` of a named context begins with."""

import os

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import BaseLayer, Image, ImageSource, Origin, Platform
from buildtool.oci.convert import config_of, diff_ids_of, seconds_of
from buildtool.oci.layout import Layout, open_layout
from buildtool.oci.model import LAYER, LAYER_GZIP, LAYER_ZSTD, ConfigRecord, Manifest, oci_type
from buildtool.oci.reference import LOCATION, LayoutReference

_LAYERS = (LAYER, LAYER_GZIP, LAYER_ZSTD)


def base_image(
    reference: LayoutReference,
    platform: Platform,
    *,
    asked_as: str = "",
    origin: Origin | None = None,
) -> Image:
    """The image that a reference means on a platform, as a step of the graph.

    Manifest and config are read and verified; layers are not touched, `copy_blob`
    brings them when they are needed.  `asked_as` is the name in front of people.
    An image without layers has no root filesystem.  BuildErrors of `Layout`, and
    `bad-document` for an image whose parts contradict each other.
    """
    layout = open_layout(os.path.abspath(reference.path))
    descriptor = layout.resolve(reference.tag, reference.digest, platform)
    manifest = layout.manifest(descriptor)
    assert isinstance(manifest, Manifest)
    return image_of_documents(
        descriptor.digest,
        manifest,
        layout.config(manifest),
        f"{LOCATION}{layout.name}",
        asked_as or str(reference),
        origin=origin,
    )


def image_of_documents(
    digest: Digest,
    manifest: Manifest,
    document: ConfigRecord,
    location: str,
    name: str,
    *,
    origin: Origin | None = None,
) -> Image:
    """The image that a manifest of this digest and its config describe, as a step of the graph.

    `location` says where its layers can be had, `name` stands for it in front of people.
    BuildError `bad-document` for documents that contradict each other.
    """
    diff_ids = diff_ids_of(document)
    if len(diff_ids) != len(manifest.layers):
        raise BuildError(
            "bad-document",
            f"{name}: the manifest has {len(manifest.layers)} layers, the config {len(diff_ids)}",
        )
    for layer in manifest.layers:
        if oci_type(layer.media_type) not in _LAYERS:
            raise BuildError(
                "bad-document", f"{name}: layers of type {layer.media_type[:100]!r} are not known"
            )
    layers = tuple(
        BaseLayer(diff_id, layer.digest, layer.size, oci_type(layer.media_type))
        for diff_id, layer in zip(diff_ids, manifest.layers, strict=True)
    )
    config, history, found, author = config_of(document)
    source = ImageSource(digest, layers, location, name, origin)
    return Image(
        rootfs=source if layers else None,
        config=config,
        platform=found,
        created=seconds_of(document.created),
        history=history,
        author=author,
        origin=origin,
    )


def layout_of(location: str) -> Layout:
    """The layout that an `ImageSource.location` names; BuildError `bad-layout`."""
    if not location.startswith(LOCATION):
        raise BuildError("bad-layout", f"{location[:200]!r} is not the location of a layout")
    return open_layout(location.removeprefix(LOCATION))
