"""`buildtool run`: a command in an image, in the sandbox that RUN steps have."""

import os
import posixpath
import sys
from dataclasses import replace

import click

from buildtool.graph.model import ImageConfig


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
    from buildtool.cli.chosen import chosen
    from buildtool.executor.launch import launch
    from buildtool.store import Store

    with Store.open() as store:
        found = chosen(place, store, platform)
        config = overridden(found.image.config, env=env, workdir=workdir, user=user, entrypoint=entrypoint)
        runtime = os.environ.get("BUILDTOOL_RUNTIME") or None
        return launch(store, found.layers, config, found.image.platform, arguments, _show, runtime=runtime)


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


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
