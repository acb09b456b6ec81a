"""`buildtool validate`: every digest of an image worked out again."""

import click

from buildtool.diag import BuildError


@click.command("validate")
@click.argument("place", metavar="oci:FOLDER | oci-archive:FILE | NAME")
def command(place: str) -> int:
    """Check an image layout, or the store that holds NAME.

    Every digest, size, media type and count is worked out anew; all that does not match is told.
    The exit status is 1 if anything does not.
    """
    from buildtool.cli.places import find, layout_at, parse_place
    from buildtool.cli.progress.wording import plural, printable
    from buildtool.cli.services import this_platform
    from buildtool.oci.validate import validate
    from buildtool.store import Store

    where = parse_place(place)
    with Store.open() as store:
        layout = layout_at(where, store)
        if where.tag or where.digest:
            find(where, layout, this_platform())
        problems = validate(layout)
        blobs = len(layout.files.blobs())
    for problem in problems:
        click.echo(printable(f"{problem.subject}: {problem.code}: {problem.message}"))
    if problems:
        raise BuildError("invalid-image", f"{place} has {plural(len(problems), 'problem')}", exit_status=1)
    click.echo(f"{place} is valid: {plural(blobs, 'blob')} checked")
    return 0
