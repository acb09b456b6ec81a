"""`buildtool rmi`: names of the store forgotten, and images of registries deleted."""

from typing import TYPE_CHECKING

import click

from buildtool.cli.access import DOCKER, Access, access_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.reference import Reference
    from buildtool.store import Store


@click.command("rmi", cls=SwitchCommand)
@click.option("-f", "--force", is_flag=True, help="A name that is not there is no error.")
@access_options
@click.argument("names", nargs=-1, required=True, metavar="NAME|sha256:DIGEST|docker://NAME...")
def command(force: bool, access: Access, names: tuple[str, ...]) -> None:
    """Forget names of images; a digest stands for all names of that image.

    What no name leads to any more stays until buildtool prune removes it, since builds may use it.

    docker://HOST/PATH:TAG deletes a tag in a registry, docker://HOST/PATH@sha256:DIGEST an image there
    with all its tags.
    """
    from buildtool.registry.reference import parse_reference
    from buildtool.store import Store

    access = access.to_places(*names)
    remote = [parse_reference(name.removeprefix(DOCKER)) for name in names if name.startswith(DOCKER)]
    with Store.open() as store:
        local = [text for text in names if not text.startswith(DOCKER)]
        gone = [name for text in local for name in _meant(store, text, force)]
        for name in dict.fromkeys(gone):
            store.refs.remove(name)
            click.echo(f"forgot {name}")
    for reference in remote:
        _delete(reference, access, force)


def _delete(reference: "Reference", access: Access, force: bool) -> None:
    from buildtool.cli.remote import delete_at

    try:
        delete_at(reference, access)
    except BuildError as error:
        if force and error.code == "not-in-registry":
            return
        raise
    click.echo(f"deleted {reference.short}")


def _meant(store: "Store", text: str, force: bool) -> list[str]:
    """The names that `text` means; BuildError `no-such-image` unless forced."""
    from buildtool.cli.names import parse_name
    from buildtool.cli.places import whole_digest
    from buildtool.cli.stored import no_such_image
    from buildtool.oci.layout import open_layout

    known = store.results.refs()
    if text.startswith("sha256:"):
        digest = whole_digest(open_layout(store.path), text)
        found = [name for name, stands_for in known.items() if stands_for == digest]
    else:
        text = parse_name(text).short
        found = [text] if text in known else []
    if not found and not force:
        raise no_such_image(text, known)
    return found
