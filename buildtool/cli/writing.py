"""Results to where they were asked for: names of the store, archives, folders."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

from buildtool.cli.outputs import Output
from buildtool.cli.request import BuildRequest
from buildtool.diag import BuildError, Warned
from buildtool.executor.api import Built, BuiltImage, BuiltIndex
from buildtool.executor.progress import Progress
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.oci.export import Export
    from buildtool.oci.model import Descriptor
    from buildtool.registry.client import Registries

#: The kinds of outputs that are made of the files of an image.
ROOTS = ("local", "tar")


def write(built: Built, request: BuildRequest, store: Store, progress: Progress) -> tuple[str, ...]:
    """Name the results in the store and write every output; the places that were written."""
    for result in built.results:
        for name in request.names:
            store.results.set_ref(name.short, result.digest)
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
    request: BuildRequest,
    names: Sequence[Sequence[str]],
    registries: "Registries",
    store: Store,
    progress: Progress,
) -> tuple[str, ...]:
    """Push each result under its names; the references, with their digest."""
    from buildtool.cli.pushing import push_all
    from buildtool.registry.reference import parse_reference

    if not any(names):
        raise BuildError("bad-usage", "there is no name to push to", hint="-t NAME, or a push() target")
    done: list[str] = []
    for descriptor, texts in zip(tops(built), names, strict=True):
        references = [parse_reference(text) for text in texts]
        done += push_all(descriptor, references, registries, store, progress)
        if request.beside:
            from buildtool.cli.remote import refer
            from buildtool.cli.told import beside

            for subject, referrer in beside(store, built, descriptor, request.beside):
                refer([referrer], subject, references, registries, store)
    return tuple(done)


def tops(built: Built) -> "list[Descriptor]":
    """The manifest or index of each result."""
    from buildtool.oci.model import INDEX, MANIFEST, Descriptor

    kinds = [INDEX if isinstance(result, BuiltIndex) else MANIFEST for result in built.results]
    return [Descriptor(kind, made.digest, made.size) for kind, made in zip(kinds, built.results, strict=True)]


def exports(built: Built, request: BuildRequest) -> "list[Export]":
    """What stands in the index of a layout: the images, and the indexes of several platforms."""
    from buildtool.oci.export import Export

    names = tuple(str(name) for name in request.names)
    platforms = [r.platform if isinstance(r, BuiltImage) else None for r in built.results]
    return [
        Export(top.digest, top.size, top.media_type, names, platform)
        for top, platform in zip(tops(built), platforms, strict=True)
    ]


def referrers(built: Built, request: BuildRequest, store: Store) -> "list[Export]":
    """What stands beside the images in a layout, as it was asked for."""
    if not request.beside:
        return []
    from buildtool.cli.told import beside
    from buildtool.oci.export import Export

    found = [d for top in tops(built) for _, d in beside(store, built, top, request.beside)]
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
