"""`buildtool diff`: where two images differ, and why."""

import sys
from typing import TYPE_CHECKING, BinaryIO

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.verify.model import Comparison


@click.command("diff", cls=SwitchCommand)
@click.argument("first")
@click.argument("second")
@click.option(
    "--platform", default="", metavar="OS/ARCH", help="Of several images, the one for this platform."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    metavar="FORMAT",
    help="text or json. [default: text]",
)
@click.option("--html", default="", metavar="FILE", help="Write one page about it, for a browser.")
@click.option("-v", "--verbose", is_flag=True, help="Show every difference, and excerpts of texts.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing: the exit status says it.")
@click.option("--diffoscope", default="", metavar="PATH", help="Hand this file of both to diffoscope.")
@access_options
def command(
    *,
    first: str,
    second: str,
    platform: str,
    form: str,
    html: str,
    verbose: bool,
    quiet: bool,
    diffoscope: str,
    access: Access,
) -> int:
    """Compare two images: documents, layers, files, and what is in them; and name the causes.

    FIRST and SECOND are each a NAME of the store, docker://NAME of a registry, oci:FOLDER,
    oci-archive:FILE, docker-archive:FILE, the path of any of these, of a layer or of a folder of
    files; or a LABEL or a folder with a Dockerfile, which is built. Whose builder made them does
    not matter.

    The exit status is 0 if they are the same, 1 if they differ, 2 if the input is wrong.
    """
    from buildtool.cli.subjects import subject
    from buildtool.store import Store
    from buildtool.verify.compare import compare

    if quiet and (verbose or form != "text"):
        raise BuildError("bad-usage", "--quiet prints nothing, and another option asks for something")
    access = access.to_places(first, second)
    with Store.open() as store:
        images = subject(first, store, platform, access), subject(second, store, platform, access)
        if diffoscope:
            from buildtool.cli.handover import to_diffoscope

            return to_diffoscope(*images, diffoscope)
        found = compare(*images)
    if html:
        _write_page(html, found)
    if not quiet:
        _print(found, form, verbose)
    return 0 if found.same else 1


def _print(found: "Comparison", form: str, verbose: bool) -> None:
    from buildtool.cli.console import style_of
    from buildtool.verify.render import as_data, as_text

    if form == "json":
        import msgspec

        data = msgspec.json.format(msgspec.json.encode(as_data(found)))
        click.echo(data.decode("utf-8", "backslashreplace"))
        return
    click.echo(as_text(found, style_of(sys.stdout), everything=verbose), nl=False)


def _write_page(path: str, found: "Comparison") -> None:
    from buildtool.oci.export import write_whole
    from buildtool.verify.page import page

    data = page(found).encode("utf-8", "backslashreplace")

    def write(sink: BinaryIO) -> None:
        sink.write(data)

    write_whole(path, write)
