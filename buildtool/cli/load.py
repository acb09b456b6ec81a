"""`buildtool load`: images from archives into the store, and from the store into engines of this machine."""

import os
import stat
from typing import TYPE_CHECKING

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.oci.bring import Brought
    from buildtool.reference import Reference
    from buildtool.store import Store


@click.command("load")
@click.option(
    "-i", "--input", "source", default="-", metavar="FILE", help="The archive. [default: standard input]"
)
@click.option(
    "-t", "--tag", multiple=True, metavar="NAME", help="A name for the image, if there is only one."
)
@click.option(
    "--to",
    "engine",
    metavar="ENGINE",
    help="Hand images of the store to docker, podman or containerd instead.",
)
@click.option("--platform", default="", metavar="OS/ARCH", help="Of several images, the one for it alone.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
def command(
    source: str, tag: tuple[str, ...], engine: str | None, platform: str, names: tuple[str, ...]
) -> None:
    """Take images from an archive into the store, under the names that it gives them.

    Archives are those of docker save, podman save, skopeo and buildtool save, compressed or not, or
    folders with an image layout. With --to it goes the other way: images NAME... of the store are
    handed to an engine of this machine.
    """
    if engine is not None:
        if source != "-" or tag or not names:
            raise BuildError("bad-usage", "with --to, name images of the store, and nothing else")
        _hand_over(engine, names, platform)
        return
    if names:
        raise BuildError("bad-usage", "names of images are for --to", hint="-i FILE names an archive")
    _take(source, tag, platform)


def _take(source: str, tags: tuple[str, ...], platform: str) -> None:
    from buildtool.cli.names import parse_name
    from buildtool.cli.platforms import parse_platform
    from buildtool.oci.bring import bring
    from buildtool.oci.layout import open_layout
    from buildtool.store import Store

    given = [parse_name(text) for text in tags]
    wanted = parse_platform(platform)
    with Store.open() as store:
        layout = open_layout(_readable(source, store), "standard input" if source == "-" else source)
        found = bring(layout, store.blobs, wanted, only_one=bool(platform))
        if given and len(found) > 1:
            raise BuildError("bad-usage", f"--tag is for one image, and the archive holds {len(found)}")
        for image in found:
            _name(image, given, store)


def _name(image: "Brought", given: "list[Reference]", store: "Store") -> None:
    """Name an image and tell of it."""
    names = given or [found for text in image.names if (found := name_in_archive(text))]
    for short in dict.fromkeys(name.short for name in names):
        store.results.set_ref(short, image.digest)
        click.echo(f"loaded {short}  {image.digest}")
    if not names:
        click.echo(f"loaded {image.digest}")
        click.echo(f"it has no name yet: buildtool tag {image.digest} NAME", err=True)
    if image.partial:
        click.echo("the archive does not hold all of its platforms: one was taken", err=True)


def name_in_archive(text: str) -> "Reference | None":
    """The name that an archive gives an image; None for a mere tag, or for what is no name."""
    from buildtool.cli.names import parse_name

    if ":" not in text and "/" not in text:
        return None
    try:
        return parse_name(text)
    except BuildError:
        return None


def _readable(source: str, store: "Store") -> str:
    """A folder, or a file that can be read at any place: pipes and compressed archives are copied first."""
    if source == "-" and os.isatty(0):
        raise BuildError("bad-usage", "no archive on standard input", hint="-i FILE names one")
    try:
        if source == "-":
            return _copied(0, store)
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            return source
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            plain = stat.S_ISREG(mode) and os.pread(fd, 5, 257) == b"ustar"
            return source if plain else _copied(fd, store)
        finally:
            os.close(fd)
    except OSError as error:
        raise BuildError("no-archive", f"cannot read {source}: {error.strerror}") from error


def _copied(fd: int, store: "Store") -> str:
    """A decompressed copy of a stream, among the store's temporary files."""
    from buildtool.layers.decompress import decompressed
    from buildtool.store.faults import store_fault

    path = store.temporary("archive")
    with os.fdopen(os.dup(fd), "rb") as stream:
        try:
            with open(path, "xb") as out:
                for chunk in decompressed(stream):
                    out.write(chunk)
        except OSError as error:
            raise store_fault(error, "copying an archive") from error
    return path


def _hand_over(name: str, images: tuple[str, ...], platform: str) -> None:
    from buildtool.cli.engines import engine, feed
    from buildtool.cli.save import exports_of
    from buildtool.oci.layout import open_layout
    from buildtool.store import Store

    found = engine(name)
    with Store.open() as store:
        feed(found, exports_of(store, open_layout(store.path), images, platform), store.blobs)
    for text in images:
        click.echo(f"{found.name} has {text}")
