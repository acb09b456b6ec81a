"""`buildtool run`: a command in an image, in the sandbox that RUN steps have."""

import os
import posixpath
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from buildtool.graph.model import Image, ImageConfig, ImageSource

if TYPE_CHECKING:
    from buildtool.cli.places import Place
    from buildtool.digest import Digest
    from buildtool.executor.work import LayerRef
    from buildtool.store import Store


@click.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="A variable of the environment.")
@click.option("-w", "--workdir", default="", metavar="PATH", help="The folder to start in.")
@click.option("-u", "--user", default="", metavar="USER", help="The user to run as.")
@click.option("--entrypoint", metavar="COMMAND", help="Instead of the image's entry point.")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@click.argument("place", metavar="NAME | LABEL | oci:FOLDER | oci-archive:FILE")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def command(
    env: tuple[str, ...],
    workdir: str,
    user: str,
    entrypoint: str | None,
    platform: str,
    place: str,
    arguments: tuple[str, ...],
) -> int:
    """Run a command in an image; what it changes is thrown away.

    A LABEL is built first. Without COMMAND, the image's own is run. The exit status is that of
    the command.
    """
    from buildtool.cli.places import Place, parse_place
    from buildtool.cli.request import is_label
    from buildtool.executor.launch import launch
    from buildtool.store import Store

    where = Place("", digest=_built(place, platform)) if is_label(place) else parse_place(place)
    with Store.open() as store:
        image = image_of(where, store, platform)
        layers = layers_of(image, store)
        config = overridden(image.config, env=env, workdir=workdir, user=user, entrypoint=entrypoint)
        runtime = os.environ.get("BUILDTOOL_RUNTIME") or None
        return launch(store, layers, config, image.platform, arguments, _show, runtime=runtime)


def overridden(
    config: ImageConfig,
    *,
    env: tuple[str, ...] = (),
    workdir: str = "",
    user: str = "",
    entrypoint: str | None = None,
) -> ImageConfig:
    """The configuration with what the command line says instead; an entry point takes the command with it."""
    from buildtool.cli.request import pairs

    variables = {**dict(config.env), **dict(pairs("--env", env, environment=os.environ))}
    changed = replace(
        config,
        env=tuple(variables.items()),
        working_dir=posixpath.join("/", config.working_dir, workdir),
        user=user or config.user,
    )
    if entrypoint is None:
        return changed
    return replace(changed, entrypoint=(entrypoint,) if entrypoint else None, cmd=None)


def _built(label: str, platform: str) -> "Digest":
    """The manifest of a target, built as `buildtool build` does."""
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.request import BuildRequest, LabelSubject, parse_epoch, parse_platform
    from buildtool.cli.session import Session

    request = BuildRequest(
        LabelSubject((label,), os.getcwd()),
        (parse_platform(platform),),
        parse_epoch(None, os.environ),
        jobs=len(os.sched_getaffinity(0)),
    )
    with choose("auto") as view, Session(request, view) as session:
        return session.build().images[0].manifest


def image_of(where: "Place", store: "Store", platform: str) -> Image:
    """The image at a place, as it was built."""
    from buildtool.cli.places import find, layout_at
    from buildtool.cli.request import parse_platform
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


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
