"""`buildtool verify`: builds again, elsewhere, and compares."""

from typing import Any

import click

from buildtool.cli.options import request_of, subject_options
from buildtool.diag import BuildError

_OWN = {"perturb", "rounds", "bisect", "listing", "everything", "against", "record", "form"}


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
    form: str,
    **options: Any,
) -> int:
    """Build twice without cache, the second time in another world, and compare.

    The other world has another clock, another time zone, one CPU, ...: see --list. Where the
    results differ, more builds find out which of these alone makes the difference. The exit
    status is 0 if all is the same, 1 if it is not, 2 if the input is wrong.
    """
    from buildtool.cli import verifying
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
    request = request_of(**options)
    work = verifying.work_of(request, arguments_of(ctx))
    return verifying.one(work, how, against=against, record=record, platform=request.platforms[0])


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
