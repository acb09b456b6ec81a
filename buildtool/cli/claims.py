"""What `verify` and `attest` are asked about: the options that say it, and the claim that they make."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.options import request_of, subject_options
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.cli.verifying import Claim, How

F = TypeVar("F", bound=Callable[..., Any])

_HOW = (
    click.option(
        "--perturb",
        multiple=True,
        metavar="NAME[,...]",
        help="What to change in the second world; -NAME leaves one out. [default: all]",
    ),
    click.option(
        "--perturb-env",
        multiple=True,
        metavar="NAME=VALUE",
        help="Give a variable of yours another value there, too.",
    ),
    click.option("--rounds", type=click.IntRange(0, 100), metavar="N", help="Second builds. [default: 1]"),
    click.option("--source", default="", metavar="FOLDER", help="The sources of IMAGE. [default: .]"),
    click.option(
        "--provenance", default="", metavar="FILE", help="Where IMAGE comes from, if it is not beside it."
    ),
)


def claim_options(command: F) -> F:
    """Give a command the options that say what to build again, and how."""
    for option in reversed(_HOW):
        command = option(command)
    return subject_options(cast(F, access_options(command)))


def how_of(ctx: click.Context, *, bisect: bool = True, form: str = "text") -> "How":
    """How to build again; BuildError `bad-usage`."""
    from buildtool.cli.verifying import How
    from buildtool.verify.perturb import choose, variable

    perturbations = choose(ctx.params["perturb"]) + tuple(map(variable, ctx.params["perturb_env"]))
    return How(perturbations, ctx.params["rounds"], bisect, form)


def claim_of(ctx: click.Context, access: Access) -> "Claim":
    """The claim about a build, or about an image that was published; BuildError `bad-usage`."""
    from buildtool.cli import verifying
    from buildtool.cli.whole import is_published

    what, source, provenance = (ctx.params[name] for name in ("what", "source", "provenance"))
    if len(what) == 1 and is_published(what[0]):
        from buildtool.cli.published import published

        return published(what[0], source or ".", provenance, arguments_of(ctx), access)
    if source or provenance:
        raise BuildError("bad-usage", "--source and --provenance are for an image, such as NAME@sha256:...")
    request = request_of(**{name: value for name, value in ctx.params.items() if name in _SUBJECT})
    work = verifying.work_of(request, (*arguments_of(ctx), *access.arguments()))
    return verifying.Claim(verifying.name_of(work), work, platform=request.platforms[0])


def arguments_of(ctx: click.Context) -> tuple[str, ...]:
    """The options of `build` as they were given, without what names the subject."""
    found: list[str] = []
    for name, parameter in _SUBJECT.items():
        value = ctx.params[name]
        if not isinstance(parameter, click.Option) or name == "file":
            continue
        flag = parameter.opts[-1]
        if parameter.is_flag:
            found += [flag] if value else []
        elif value:
            values = value if parameter.multiple else (value,)
            found += [word for one in values for word in (flag, str(one))]
    return tuple(found)


def _subject() -> dict[str, click.Parameter]:
    """The parameters that `subject_options` gives, by name."""

    @click.command()
    @subject_options
    def nothing(**options: Any) -> None:
        """Only its parameters matter."""

    return {parameter.name or "": parameter for parameter in nothing.params}


_SUBJECT = _subject()
