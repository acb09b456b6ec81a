"""`buildtool inspect`: an image in words, or its documents as they are."""

from typing import TYPE_CHECKING

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.oci.layout import Layout
    from buildtool.oci.model import Descriptor, Manifest


@click.command("inspect")
@click.argument("place", metavar="NAME | oci:FOLDER | oci-archive:FILE")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@click.option("--raw", is_flag=True, help="Print the manifest, byte for byte.")
@click.option("--config", is_flag=True, help="Print the configuration, byte for byte.")
def command(place: str, platform: str, raw: bool, config: bool) -> None:
    """Show an image: its digest, layers and configuration."""
    from buildtool.cli.places import find, layout_at, parse_place
    from buildtool.cli.platforms import parse_platform
    from buildtool.oci.model import Manifest
    from buildtool.store import Store

    if raw and config:
        raise BuildError("bad-usage", "--raw and --config: one document at a time")
    where = parse_place(place)
    with Store.open() as store:
        layout = layout_at(where, store)
        descriptor = find(where, layout, parse_platform(platform))
        manifest = layout.manifest(descriptor)
        assert isinstance(manifest, Manifest)
        if raw:
            click.echo(layout.read(descriptor), nl=False)
        elif config:
            click.echo(layout.read(manifest.config), nl=False)
        else:
            click.echo("\n".join(_described(layout, descriptor, manifest)))


def _described(layout: "Layout", descriptor: "Descriptor", manifest: "Manifest") -> list[str]:
    from buildtool.cli.progress.wording import plural, printable, size
    from buildtool.oci.convert import config_of

    document = layout.config(manifest)
    config, history, platform, _ = config_of(document)
    total = size(sum(layer.size for layer in manifest.layers))
    rows = [
        f"digest      {descriptor.digest}",
        f"platform    {platform}",
        f"created     {document.created or '-'}",
        f"size        {total} in {plural(len(manifest.layers), 'layer')}",
    ]
    settings = {
        "entrypoint": _words(config.entrypoint),
        "command": _words(config.cmd),
        "workdir": config.working_dir,
        "user": config.user,
        "ports": " ".join(config.exposed_ports),
        "volumes": " ".join(config.volumes),
        "stopsignal": config.stop_signal,
    }
    rows += [f"{name:<11} {value}" for name, value in settings.items() if value]
    rows += [f"env         {key}={value}" for key, value in config.env]
    rows += [f"label       {key}={value}" for key, value in config.labels]
    made = [h.created_by for h in history if not h.empty_layer]
    for number, layer in enumerate(manifest.layers):
        by = made[number] if number < len(made) else ""
        rows.append(f"layer       {layer.digest}  {size(layer.size):>8}  {by}")
    return [printable(row).rstrip() for row in rows]


def _words(argv: tuple[str, ...] | None) -> str:
    import shlex

    return shlex.join(argv) if argv else ""
