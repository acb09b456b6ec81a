"""`buildtool rmi`: names of the store forgotten."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from buildtool.store import Store


@click.command("rmi")
@click.option("-f", "--force", is_flag=True, help="A name that is not there is no error.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|sha256:DIGEST...")
def command(force: bool, names: tuple[str, ...]) -> None:
    """Forget names of images; a digest stands for all names of that image.

    What no name leads to any more stays until buildtool prune removes it, since builds may use it.
    """
    from buildtool.store import Store

    with Store.open() as store:
        gone = [name for text in names for name in _meant(store, text, force)]
        for name in dict.fromkeys(gone):
            store.refs.remove(name)
            click.echo(f"forgot {name}")


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
