"""`buildtool verify`: builds again, elsewhere, and compares."""

from typing import Any

import click

from buildtool.cli.options import request_of, subject_options
from buildtool.diag import BuildError

#: Options that are not those of `build`.
_OWN = frozenset(
    (
        "perturb",
        "rounds",
        "bisect",
        "listing",
        "everything",
        "against",
        "record",
        "source",
        "provenance",
        "form",
    )
)


@click.command("verify")
@subject_options
@click.option(
    "--perturb",
    multiple=True,
    metavar="NAME[,...]",
    help="What to change in the second world; -NAME leaves one out. [default: all]",
)
@click.option("--rounds", type=click.IntRange(0, 100), metavar="N", help="Second builds. [default: 1]")
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
@click.option("--source", default="", metavar="FOLDER", help="The sources of IMAGE. [default: .]")
@click.option(
    "--provenance", default="", metavar="FILE", help="Where IMAGE comes from, if it is not beside it."
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
    perturb: tuple[str, ...],
    rounds: int | None,
    bisect: bool,
    listing: bool,
    everything: str,
    against: str,
    record: str,
    source: str,
    provenance: str,
    form: str,
    **options: Any,
) -> int:
    """Build twice without cache, the second time in another world, and compare.

    An IMAGE (NAME@sha256:DIGEST, sha256:DIGEST, oci:FOLDER) is built from its --source as its
    provenance says, and compared with what was published.

    The other world has another clock, another time zone, one CPU, ...: see --list. Where the
    results differ, more builds find out which of these alone makes the difference. The exit
    status is 0 if all is the same, 1 if it is not, 2 if the input is wrong.
    """
    from buildtool.cli import verifying
    from buildtool.cli.published import published
    from buildtool.cli.whole import is_published
    from buildtool.verify.perturb import choose

    chosen = choose(perturb)
    if listing:
        click.echo(verifying.listing(chosen), nl=False)
        return 0
    how = verifying.How(chosen, rounds, bisect, form)
    if everything:
        if options["what"] or against or record:
            raise BuildError("bad-usage", "--all FILE says itself what is built and what it is compared with")
        return verifying.all_of(everything, arguments_of(ctx), how)
    what = options["what"]
    if len(what) == 1 and is_published(what[0]):
        if against or record:
            raise BuildError("bad-usage", "an image says its digest itself: no --against, no --record")
        claim = published(what[0], source or ".", provenance, arguments_of(ctx))
        return verifying.one(claim, how)
    if source or provenance:
        raise BuildError("bad-usage", "--source and --provenance are for an image, such as NAME@sha256:...")
    request = request_of(**options)
    work = verifying.work_of(request, arguments_of(ctx))
    claim = verifying.against(work, against) if against else verifying.Claim(verifying.name_of(work), work)
    return verifying.one(claim, how, record=record, platform=request.platforms[0])


def arguments_of(ctx: click.Context) -> tuple[str, ...]:
    """The options that `build` knows too, as they were given; not those that name places of the subject."""
    found: list[str] = []
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        if not isinstance(parameter, click.Option) or parameter.name in _OWN or parameter.name == "file":
            continue
        flag = parameter.opts[-1]
        if parameter.is_flag:
            found += [flag] if value else []
        elif value:
            values = value if parameter.multiple else (value,)
            found += [word for one in values for word in (flag, str(one))]
    return tuple(found)
