"""`buildtool verify`: builds again, elsewhere, and compares; or asks those who did."""

from dataclasses import replace
from typing import Any

import click

from buildtool.cli.access import Access
from buildtool.cli.claims import arguments_of, claim_of, claim_options, how_of
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError


@click.command("verify", cls=SwitchCommand)
@claim_options
@click.option(
    "--bisect/--no-bisect", default=True, help="Whether to look for the perturbation that makes a difference."
)
@click.option("--list", "listing", is_flag=True, help="List the perturbations, and build nothing.")
@click.option(
    "--all",
    "everything",
    default="",
    metavar="FILE",
    help="Verify all that a digest list or a lock is about.",
)
@click.option("--against", default="", metavar="FILE", help="Compare with the digests of another machine.")
@click.option("--record", default="", metavar="FILE", help="Write the digests for other machines.")
@click.option(
    "--statements",
    multiple=True,
    metavar="FILE|FOLDER|oci:LAYOUT|docker://NAME",
    help="Build nothing: accept IMAGE by the statements of others.",
)
@click.option(
    "--keys", multiple=True, metavar="FILE", help="Whose statements count: a keys.toml or NAME.pub."
)
@click.option(
    "--threshold",
    type=click.IntRange(1, 100),
    default=1,
    metavar="K",
    help="How many must agree. [default: 1]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    metavar="FORMAT",
    help="text or json.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    what: tuple[str, ...],
    bisect: bool,
    listing: bool,
    everything: str,
    against: str,
    record: str,
    statements: tuple[str, ...],
    keys: tuple[str, ...],
    threshold: int,
    form: str,
    access: Access,
    **options: Any,
) -> int:
    """Build twice without cache, the second time in another world, and compare.

    An IMAGE (NAME@sha256:DIGEST, sha256:DIGEST, oci:FOLDER, docker://NAME) is built from its --source as its
    provenance says, and compared with what was published. With --statements nothing is built:
    IMAGE is accepted where enough of those whose --keys are given say that they rebuilt it.

    The other world has another clock, another time zone, one CPU, ...: see --list. Where the
    results differ, more builds find out which of these alone makes the difference. The exit
    status is 0 if all is the same, 1 if it is not, 2 if the input is wrong.
    """
    access = access.to_places(*what, *statements)
    if statements:
        from buildtool.cli.statements import accepted

        if len(what) != 1:
            raise BuildError("bad-usage", "--statements are about one IMAGE")
        return accepted(what[0], statements, keys, threshold, form, access)
    from buildtool.cli import verifying

    how = how_of(ctx, bisect=bisect, form=form)
    if listing:
        click.echo(verifying.listing(how.perturbations), nl=False)
        return 0
    if everything:
        if what or against or record:
            raise BuildError("bad-usage", "--all FILE says itself what is built and what it is compared with")
        return verifying.all_of(everything, (*arguments_of(ctx), *access.arguments()), how)
    claim = claim_of(ctx, access)
    if claim.wanted is not None and (against or record):
        raise BuildError("bad-usage", "an image says its digest itself: no --against, no --record")
    if against:
        claim = replace(claim, wanted=verifying.listed_in(against, claim.name), source=against)
    return verifying.one(claim, how, record=record)
