"""`buildtool push`: images of the store, of layouts and archives, or of targets, to registries."""

import os
from dataclasses import replace

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

_MODES = ("auto", "plain", "tty", "rawjson", "quiet")


@click.command("push", cls=SwitchCommand)
@click.argument("what", nargs=-1, required=True, metavar="NAME|LABEL [HOST/PATH:TAG]")
@click.option("--platform", default="", metavar="OS/ARCH", help="Of several images, the one for it alone.")
@click.option(
    "--progress",
    type=click.Choice(_MODES),
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, rawjson, quiet.",
)
@access_options
def command(what: tuple[str, ...], platform: str, progress: str, access: Access) -> None:
    """Push an image to the registry of its name, or under another one.

    NAME is an image of the store, or one of oci:, oci-archive: or docker-archive:. A LABEL such as
    //app:push names a target: it is built, and pushed to where its push() says or to the name given.
    Prints the reference with its digest.
    """
    from buildtool.cli.request import is_label

    if is_label(what[0]):
        names = tuple(w for w in what[1:] if not is_label(w))
        labels = tuple(w for w in what if is_label(w))
        _push_targets(labels, names, platform, progress, access)
        return
    if len(what) > 2:
        raise BuildError("bad-usage", "push takes one image, and one name where it goes")
    _push_image(what[0], what[1:], platform, progress, access)


def _push_image(
    source: str, destination: tuple[str, ...], platform: str, progress: str, access: Access
) -> None:
    from buildtool.cli.hub import fetch, open_hub
    from buildtool.cli.pushing import push_all
    from buildtool.registry.reference import parse_reference

    target = destination[0] if destination else source
    references = [parse_reference(target.removeprefix("docker://"))]
    with open_hub(progress, access.to([references[0].host])) as hub:
        found = fetch(hub, source, platform)
        done = push_all(found.descriptor, references, hub.registries, hub.store, hub.progress)
    click.echo("\n".join(done))


def _push_targets(
    labels: tuple[str, ...], names: tuple[str, ...], platform: str, progress: str, access: Access
) -> None:
    from buildtool.cli.names import parse_name
    from buildtool.cli.outputs import Output
    from buildtool.cli.platforms import parse_platforms
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.request import BuildRequest, LabelSubject, parse_epoch
    from buildtool.cli.session import Session

    if names and len(labels) > 1:
        raise BuildError("bad-usage", "a name is for one target, and here are several")
    request = BuildRequest(
        LabelSubject(labels, os.getcwd()),
        parse_platforms((platform,) if platform else ()),
        parse_epoch(None, os.environ),
        names=tuple(parse_name(name) for name in names),
        outputs=(Output("image", push=True),),
        jobs=len(os.sched_getaffinity(0)),
    )
    request = replace(request, access=access.to(request.hosts))
    with choose(progress) as view, Session(request, view) as session:
        built = session.build()
        session.write(built)
        done = session.push(built)
    click.echo("\n".join(done))
