"""`buildtool tag`: another name for an image of the store."""

import click


@click.command("tag")
@click.argument("source", metavar="NAME|sha256:DIGEST")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(source: str, names: tuple[str, ...]) -> None:
    """Give an image of the store more names.

    A name that another image has goes over to this one.
    """
    from buildtool.cli.names import parse_name
    from buildtool.cli.stored import find_stored
    from buildtool.oci.layout import open_layout
    from buildtool.store import Store

    wanted = [parse_name(name) for name in names]
    with Store.open() as store:
        found = find_stored(store, open_layout(store.path), source)
        for name in wanted:
            store.results.set_ref(name.short, found.descriptor.digest)
