"""Results to where they were asked for: names of the store, archives, folders."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from buildtool.cli.outputs import Output
from buildtool.cli.request import BuildRequest
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import Built
from buildtool.executor.progress import Progress
from buildtool.graph.model import Image, Index
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.oci.export import Export
    from buildtool.oci.model import Descriptor
    from buildtool.registry.client import Registries

#: The kinds of outputs that are made of the files of an image.
ROOTS = ("local", "tar")


def write(built: Built, request: BuildRequest, store: Store, progress: Progress) -> tuple[str, ...]:
    """Name the results in the store and write every output; the places that were written."""
    for digest in [i.digest for i in built.indexes] or [i.manifest for i in built.images]:
        for name in request.names:
            store.results.set_ref(name.short, digest)
    wanted = [o for o in request.outputs if o.dest or o.kind == "docker"]
    return tuple(_written(o, built, request, store, progress) for o in wanted)


def _written(output: Output, built: Built, request: BuildRequest, store: Store, progress: Progress) -> str:
    from buildtool.cli import rootfs
    from buildtool.oci.archive import write_archive
    from buildtool.oci.export import write_layout

    if not output.dest:
        from buildtool.cli.engines import any_engine, feed

        found_engine = any_engine()
        feed(found_engine, exports(built, request), store.blobs)
        return found_engine.name
    if output.kind == "local":
        _tell_of(rootfs.write_folder(output.dest, built.images, store.blobs), progress)
    elif output.kind == "tar":
        to_file(output.dest, lambda sink: rootfs.write_tar(sink, built.images, store.blobs))
    elif not output.tar:
        write_layout(output.dest, exports(built, request) + referrers(built, request, store), store.blobs)
    else:
        docker = output.kind == "docker"
        found = exports(built, request) + ([] if docker else referrers(built, request, store))
        to_file(output.dest, lambda sink: write_archive(sink, found, store.blobs, docker=docker))
    return output.dest


def push(
    built: Built,
    roots: Sequence[Image | Index],
    request: BuildRequest,
    names: Sequence[Sequence[str]],
    registries: "Registries",
    store: Store,
    progress: Progress,
) -> tuple[str, ...]:
    """Push the result of each root under its names; the references, with their digest."""
    from buildtool.cli.pushing import push_all
    from buildtool.registry.reference import parse_reference

    if not any(names):
        raise BuildError("bad-usage", "there is no name to push to", hint="-t NAME, or a push() target")
    done: list[str] = []
    for descriptor, texts in zip(tops(built, roots), names, strict=True):
        references = [parse_reference(text) for text in texts]
        done += push_all(descriptor, references, registries, store, progress)
        if request.beside:
            from buildtool.cli.remote import refer
            from buildtool.cli.told import beside

            for subject, referrer in beside(store, built, descriptor, request.beside):
                refer([referrer], subject, references, registries, store)
    return tuple(done)


def tops(built: Built, roots: Sequence[Image | Index]) -> "list[Descriptor]":
    """The manifest or index that each root became."""
    from buildtool.oci.model import INDEX, MANIFEST, Descriptor

    images, indexes = iter(built.images), iter(built.indexes)
    found = []
    for root in roots:
        if isinstance(root, Index):
            index = next(indexes)
            found.append(Descriptor(INDEX, index.digest, index.size))
            for _ in root.images:
                next(images)
        else:
            image = next(images)
            found.append(Descriptor(MANIFEST, image.manifest, image.manifest_size))
    return found


def exports(built: Built, request: BuildRequest) -> "list[Export]":
    """What stands in the index of a layout: the index of several platforms, or the image."""
    from buildtool.oci.export import Export
    from buildtool.oci.model import INDEX, MANIFEST

    names = tuple(name.full for name in request.names)
    if built.indexes:
        return [Export(i.digest, i.size, INDEX, names) for i in built.indexes]
    return [Export(i.manifest, i.manifest_size, MANIFEST, names, i.platform) for i in built.images]


def referrers(built: Built, request: BuildRequest, store: Store) -> "list[Export]":
    """What stands beside the images in a layout, as it was asked for."""
    if not request.beside:
        return []
    from buildtool.cli.told import beside
    from buildtool.oci.export import Export
    from buildtool.oci.model import Descriptor

    tops = [Descriptor(e.media_type, e.digest, e.size) for e in exports(built, request)]
    found = [d for top in tops for _, d in beside(store, built, top, request.beside)]
    return [Export(d.digest, d.size, d.media_type, artifact_type=d.artifact_type) for d in found]


def to_file(path: str, write_to: Callable[[BinaryIO], None]) -> None:
    """Write a file by `write_whole`; `-` is our standard output."""
    from buildtool.oci.export import write_whole

    if path != "-":
        write_whole(path, write_to)
    elif sys.stdout.isatty():
        raise BuildError("bad-output", "an archive is not for a terminal: redirect it, or name a file")
    else:
        write_to(sys.stdout.buffer)


def _tell_of(skipped: list[bytes], progress: Progress) -> None:
    if skipped:
        first = skipped[0].decode("utf-8", "backslashreplace")
        others = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        progress.warned(
            Warned(
                "device-not-made",
                f"only root can make the device {first}{others}",
                hint="type=tar writes devices for any user",
            )
        )
