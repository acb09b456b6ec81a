"""`buildtool run`: a command in an image, in the sandbox that RUN steps have."""

import os
import posixpath
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError
from buildtool.graph.model import ImageConfig

if TYPE_CHECKING:
    from buildtool.cli.chosen import Chosen
    from buildtool.store import Store

#: What shells and Docker say of a command that is not there, or is no program.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


@click.command("run", cls=SwitchCommand, context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the process a terminal.")
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="A variable of the environment.")
@click.option("--env-file", multiple=True, metavar="FILE", help="Variables, a line each.")
@click.option(
    "-v",
    "--volume",
    multiple=True,
    metavar="HOST:PATH[:ro]",
    help="A file or folder of this machine, at PATH.",
)
@click.option(
    "-p",
    "--publish",
    multiple=True,
    metavar="[PORT:]PORT",
    help="A port of the process, on this machine's loopback address (or ADDRESS:PORT:PORT).",
)
@click.option(
    "--network",
    type=click.Choice(["host", "none", "slirp4netns"]),
    metavar="MODE",
    help="host, none, or slirp4netns (its own, with a way out). [default: host; with -p, the ports alone]",
)
@click.option("-w", "--workdir", default="", metavar="PATH", help="The folder to start in.")
@click.option("-u", "--user", default="", metavar="USER", help="The user to run as.")
@click.option("--entrypoint", metavar="COMMAND", help="Instead of the image's entry point.")
@click.option("--hostname", default="", metavar="NAME", help="[default: buildtool]")
@click.option("--read-only", is_flag=True, help="Let the process write to its mounts alone.")
@click.option("--rm", is_flag=True, hidden=True, expose_value=False)
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@access_options
@click.argument("place", metavar="IMAGE")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND]...")
def command(*, place: str, platform: str, arguments: tuple[str, ...], access: Access, **options: Any) -> int:
    """Run a command in an image; what it changes is thrown away.

    IMAGE is a name of the store, a label (which is built first), oci:FOLDER, oci-archive:FILE,
    docker-archive:FILE, or docker://NAME of a registry. Without COMMAND, the image's own is run.
    Signals are passed on, and the exit status is that of the command.
    """
    from buildtool.cli.chosen import chosen
    from buildtool.store import Store

    if options["network"] in ("host", "none") and options["publish"]:
        raise BuildError(
            "bad-usage",
            f"-p and --network={options['network']} contradict each other",
            hint="with -p alone nothing but the ports leads in or out; --network=slirp4netns adds a way out",
        )
    with Store.open() as store:
        return _run(store, chosen(place, store, platform, access), arguments, **options)


def _run(
    store: "Store",
    found: "Chosen",
    arguments: tuple[str, ...],
    *,
    interactive: bool,
    tty: bool,
    env: tuple[str, ...],
    env_file: tuple[str, ...],
    volume: tuple[str, ...],
    publish: tuple[str, ...],
    network: str | None,
    workdir: str,
    user: str,
    entrypoint: str | None,
    hostname: str,
    read_only: bool,
) -> int:
    """Prepare the process, attend it, and give its exit status."""
    import msgspec

    from buildtool.cli.attending import Attended
    from buildtool.cli.publishing import parse_volume, read_env_file
    from buildtool.executor.launch import attend, process_of
    from buildtool.executor.work import AttendWork

    settings = (*(row for path in env_file for row in read_env_file(path)), *env)
    if tty and all(row.partition("=")[0] != "TERM" for row in settings):
        settings = (f"TERM={os.environ.get('TERM') or 'xterm'}", *settings)
    config = overridden(found.image.config, env=settings, workdir=workdir, user=user, entrypoint=entrypoint)
    network = network or ("none" if publish else "host")
    process = process_of(found.layers, config, found.image.platform, arguments, network)
    if hostname:
        process = msgspec.structs.replace(process, hostname=hostname)
    volumes = tuple(parse_volume(text) for text in volume)
    with ExitStack() as held:
        ports = _listening(publish, held)
        joined = held.enter_context(Attended(interactive=interactive, terminal=tty))
        work = AttendWork(joined.theirs, joined.size, volumes, ports, read_only)
        try:
            return attend(store, process, work, joined.started, runtime=os.environ.get("BUILDTOOL_RUNTIME"))
        except BuildError as error:
            if error.code == "exec-failed":
                denied = "permission denied" in error.message.lower()
                error.exit_status = _NOT_EXECUTABLE if denied else _NOT_FOUND
            raise


def _listening(texts: tuple[str, ...], held: ExitStack) -> tuple[tuple[int, int], ...]:
    """Sockets that listen for published ports, as descriptors, and where they lead."""
    if not texts:
        return ()
    from buildtool.cli.publishing import listen, parse_port

    ports = []
    for published in [parse_port(text) for text in texts]:
        listener = held.enter_context(listen(published))
        ports.append((listener.fileno(), published.inside))
        if not published.port:
            address, port = listener.getsockname()[:2]
            click.echo(f"{address}:{port} leads to port {published.inside}", err=True)
    return tuple(ports)


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
