"""The hub: images from any place into the store, and from the store to any place.

Whatever is copied goes through the store, which verifies it, keeps what has come when
a transfer breaks off, and has it for the next time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from buildtool.cli.access import DOCKER, Access
from buildtool.cli.telling import telling
from buildtool.diag import BuildError
from buildtool.executor.progress import Progress
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.oci.export import Export
    from buildtool.oci.layout import Layout
    from buildtool.oci.model import Descriptor
    from buildtool.reference import Reference
    from buildtool.registry.client import Registries

_ARCHIVES = ("oci-archive:", "docker-archive:")


@dataclass(frozen=True, slots=True)
class Hub:
    """What copying needs."""

    store: Store
    registries: "Registries"
    progress: Progress


@dataclass(frozen=True, slots=True)
class Found:
    """An image or index in the store, and the name that it came by (empty for none)."""

    descriptor: "Descriptor"
    name: str = ""


@contextmanager
def open_hub(progress: str, access: Access) -> Iterator[Hub]:
    """A hub on the user's store."""
    from buildtool.cli.progress.choose import choose

    registries = access.registries(os.getcwd())
    with choose(progress) as view, Store.open() as store:
        yield Hub(store, registries, view)


# ---------------------------------------------------------------- into the store


def fetch(hub: Hub, source: str, platform: str, *, whole: bool = False) -> Found:
    """Bring an image to the store; `whole` keeps all platforms of several where none is named."""
    if source.startswith(DOCKER):
        from buildtool.registry.reference import parse_reference

        reference = parse_reference(source.removeprefix(DOCKER))
        return Found(from_registry(hub, reference, platform, whole=whole), str(reference))
    from buildtool.cli.places import parse_place
    from buildtool.oci.layout import open_layout

    if source.startswith("dir:"):
        from buildtool.oci.dirfiles import open_dir

        layout = open_dir(source.removeprefix("dir:"))
        return _from_layout(hub, layout, "", None, platform)
    place = parse_place(source)
    if place.path:
        return _from_layout(hub, open_layout(place.path), place.tag, place.digest, platform)
    return _from_store(hub, source, platform)


def pulled(place: str, platform: str, access: Access) -> "Digest":
    """The manifest of an image `docker://NAME`, brought to the user's store as `buildtool pull` does."""
    from buildtool.registry.reference import parse_reference

    with open_hub("auto", access) as hub:
        reference = parse_reference(place.removeprefix(DOCKER))
        return from_registry(hub, reference, platform, whole=False).digest


def from_registry(hub: Hub, reference: "Reference", platform: str, *, whole: bool) -> "Descriptor":
    """Pull an image: the one for a platform, or all that the reference leads to."""
    from buildtool.cli.platforms import parse_platform
    from buildtool.cli.pushing import remember_paths
    from buildtool.oci.model import Manifest
    from buildtool.registry.pull import Puller

    puller = Puller(hub.registries, reference, hub.store.blobs)
    with telling(hub.progress, f"pull {reference.short}", "pull") as told:
        top = puller.document()
        if platform or not whole:
            top = puller.choose(top, parse_platform(platform))
        pulled = puller.everything(top, told.download)
        told.size = pulled.transferred or None
    document = puller.manifest(top)
    if isinstance(document, Manifest):
        digests = [blob.digest for blob in (document.config, *document.layers)]
        remember_paths(hub.store, reference.host, reference.path, digests)
    return top


def _from_layout(hub: Hub, layout: "Layout", tag: str, digest: "Digest | None", platform: str) -> Found:
    from buildtool.cli.platforms import parse_platform
    from buildtool.oci.bring import copy_image

    entry = layout.named(tag, digest) if not platform else None
    if entry is None:
        entry = layout.resolve(tag, digest, parse_platform(platform))
    with telling(hub.progress, f"copy from {layout.name}", "pull"):
        copy_image(layout, entry, hub.store.blobs)
    return Found(entry, tag)


def _from_store(hub: Hub, text: str, platform: str) -> Found:
    from buildtool.cli.stored import find_stored, for_platform
    from buildtool.oci.layout import open_layout

    layout = open_layout(hub.store.path)
    stored = find_stored(hub.store, layout, text)
    if platform:
        stored = for_platform(layout, stored, platform)
    return Found(stored.descriptor, str(stored.name) if stored.name else "")


# ---------------------------------------------------------------- out of the store


def deliver(hub: Hub, found: Found, destination: str) -> None:
    """Write an image of the store to a place; BuildErrors of that place."""
    from buildtool.oci.export import write_layout

    if destination.startswith(DOCKER):
        from buildtool.cli.pushing import push_all
        from buildtool.registry.reference import parse_reference

        reference = parse_reference(destination.removeprefix(DOCKER))
        push_all(found.descriptor, [reference], hub.registries, hub.store, hub.progress)
    elif destination.startswith("dir:"):
        from buildtool.oci.dirfiles import write_dir

        write_dir(destination.removeprefix("dir:"), found.descriptor, hub.store.blobs)
    elif destination.startswith("oci:"):
        folder, name = _path_and_name(destination.removeprefix("oci:"))
        write_layout(folder, [_export(found, tag=name)], hub.store.blobs)
    elif destination.startswith(_ARCHIVES):
        from buildtool.cli.writing import to_file
        from buildtool.oci.archive import write_archive

        transport, _, rest = destination.partition(":")
        path, name = _path_and_name(rest)
        docker = transport == "docker-archive"
        export = _export(found, name=name or found.name) if docker else _export(found, tag=name)
        to_file(path, lambda sink: write_archive(sink, [export], hub.store.blobs, docker=docker))
    else:
        _name(hub, found, destination)


def _export(found: Found, *, name: str = "", tag: str = "") -> "Export":
    from buildtool.oci.export import Export

    entry = found.descriptor
    return Export(entry.digest, entry.size, entry.media_type, (name,) if name else (), tag=tag)


def _path_and_name(text: str) -> tuple[str, str]:
    """`PATH[:NAME]`: what follows the first colon, as in containers-transports(5)."""
    path, _, name = text.partition(":")
    if not path:
        raise BuildError("bad-usage", "the destination names no path")
    return path, name


def _name(hub: Hub, found: Found, destination: str) -> None:
    from buildtool.cli.names import parse_name
    from buildtool.cli.places import known_transport

    if known_transport(destination):
        raise BuildError(
            "bad-usage",
            f"nothing is copied to {destination.partition(':')[0]}:",
            hint="docker://, oci:, oci-archive:, docker-archive:, dir:, or a name of the store",
        )
    hub.store.results.set_ref(parse_name(destination).short, found.descriptor.digest)
