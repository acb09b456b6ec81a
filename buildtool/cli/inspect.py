"""`buildtool inspect`: an image in words, or its documents as they are."""

from typing import TYPE_CHECKING

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.graph.model import Platform
    from buildtool.oci.layout import Layout
    from buildtool.oci.model import Descriptor, Manifest
    from buildtool.store import Store


@click.command("inspect", cls=SwitchCommand)
@click.argument("place", metavar="NAME | oci:FOLDER | oci-archive:FILE | docker://NAME")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@click.option("--raw", is_flag=True, help="Print the manifest, byte for byte.")
@click.option("--config", is_flag=True, help="Print the configuration, byte for byte.")
@access_options
def command(place: str, platform: str, raw: bool, config: bool, access: Access) -> None:
    """Show an image: its digest, layers and configuration.

    Of an image in a registry (docker://HOST/PATH:TAG) nothing but its documents is fetched.
    """
    from buildtool.cli.places import Place, find, layout_at, parse_place
    from buildtool.cli.platforms import parse_platform
    from buildtool.oci.model import Manifest
    from buildtool.store import Store

    if raw and config:
        raise BuildError("bad-usage", "--raw and --config: one document at a time")
    access = access.to_places(place)
    with Store.open() as store:
        if place.startswith("docker://"):
            where = Place("", digest=_documents(place, store, access, parse_platform(platform)))
        else:
            where = parse_place(place)
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


def _documents(place: str, store: "Store", access: Access, platform: "Platform") -> "Digest":
    """Bring manifest and config of a registry's image to the store; the digest of the manifest."""
    import os

    from buildtool.oci.model import Manifest
    from buildtool.registry.pull import Puller
    from buildtool.registry.reference import parse_reference

    reference = parse_reference(place.removeprefix("docker://"))
    puller = Puller(access.registries(os.getcwd()), reference, store.blobs)
    found = puller.choose(puller.document(), platform)
    manifest = puller.manifest(found)
    assert isinstance(manifest, Manifest)
    puller.config(manifest)
    return found.digest


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
