"""Origins: where the steps of the images in the store are written, kept by the digest of the manifest."""

from collections.abc import Iterable

import msgspec

from buildtool.digest import Digest, Key, key_of
from buildtool.graph.model import FileOp, Image, Index, Run
from buildtool.store import Store


def remember(store: Store, roots: Iterable[Image | Index], manifests: Iterable[Digest]) -> None:
    """Keep the places of the steps of images that were just built, in the order of their manifests."""
    images = [image for root in roots for image in (root.images if isinstance(root, Index) else (root,))]
    for image, manifest in zip(images, manifests, strict=True):
        data = msgspec.msgpack.encode(_places(image))
        if store.results.get(_name(manifest)) != data:
            store.results.put(_name(manifest), "origins", data)


def places(store: Store, manifest: Digest) -> tuple[str, ...]:
    """Where the steps of an image's topmost layers are written, lowest first; none where it is not known."""
    data = store.results.get(_name(manifest))
    return msgspec.msgpack.decode(data, type=tuple[str, ...]) if data is not None else ()


def _name(manifest: Digest) -> Key:
    return key_of(["origins", manifest])


def _places(image: Image) -> tuple[str, ...]:
    found: list[str] = []
    step = image.rootfs
    while isinstance(step, FileOp | Run):
        span = step.origin.span if step.origin else None
        place = f"{span.file}:{span.line}" if span else ""
        # Paths may hold bytes that are no text.
        found.insert(0, place.encode("utf-8", "backslashreplace").decode())
        step = step.base
    return tuple(found)
