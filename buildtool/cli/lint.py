"""`buildtool lint`: what the rules find in Dockerfiles, without building them."""

import os
from collections.abc import Sequence

import click

from buildtool.frontends.dockerfile.lint.check import Checked


@click.command("lint")
@click.argument("dockerfiles", nargs=-1, metavar="[DOCKERFILE...]")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "sarif")),
    default="text",
    metavar="FORMAT",
    help="text, json or sarif (2.1.0, for code hosts).",
)
@click.option("--build-arg", multiple=True, metavar="KEY=VALUE", help="A value for ARG.")
@click.option(
    "--target", default="", metavar="STAGE", help="Check what this stage needs. [default: all stages]"
)
@click.option("--strict", is_flag=True, help="Notes too make the exit status 1.")
@click.option("--explain", default="", metavar="RULE", help="Print what a rule is about, and check nothing.")
def command(
    dockerfiles: tuple[str, ...],
    form: str,
    build_arg: tuple[str, ...],
    target: str,
    strict: bool,
    explain: str,
) -> int:
    """Check Dockerfiles for mistakes, and for what makes two builds differ.

    A DOCKERFILE is a file, a folder that holds one, or - for standard input; by default it is
    that of this folder. Base images are not looked at. The exit status is 2 if a file cannot be
    built, 1 if there are warnings, and 0 otherwise.
    """
    if explain:
        click.echo(_explained(explain), nl=False)
        return 0
    from buildtool.cli.request import pairs

    arguments = dict(pairs("--build-arg", build_arg, environment=os.environ))
    checked = [_check(path, arguments, target) for path in dockerfiles or (".",)]
    tell(checked, form)
    return status_of(checked, strict=strict)


def _explained(name: str) -> str:
    from buildtool.diag import BuildError, suggestion
    from buildtool.frontends.dockerfile.lint.pages import page
    from buildtool.frontends.dockerfile.lint.registry import BY_NAME

    rule = BY_NAME.get(name)
    if rule is None:
        hint = suggestion(name, BY_NAME) or f"rules are {', '.join(BY_NAME)}"
        raise BuildError("unknown-rule", f"there is no rule {name!r}", hint=hint)
    return page(rule)


def tell(checked: Sequence[Checked], form: str) -> None:
    """Print what was found."""
    import sys

    from buildtool.cli.console import style_of
    from buildtool.cli.findings import as_json, as_sarif, as_text

    if form == "text":
        text = as_text(checked, style_of(sys.stdout))
    else:
        text = as_json(checked) if form == "json" else as_sarif(checked)
    click.echo(text, nl=False)


def status_of(checked: Sequence[Checked], *, strict: bool = False) -> int:
    """The exit status: the errors' own, or 1 where there are warnings."""
    errors = [error.exit_status for one in checked for error in one.errors]
    severities = {finding.rule.severity for one in checked for finding in one.findings}
    return max([*errors, int("warning" in severities or (strict and "note" in severities))])


def _check(path: str, arguments: dict[str, str], target: str) -> Checked:
    from buildtool.cli.contexts import read_dockerfile, read_ignore
    from buildtool.cli.request import DEFAULT_EPOCH
    from buildtool.cli.services import this_platform
    from buildtool.frontends.dockerfile.lint.check import check
    from buildtool.frontends.dockerfile.request import Request
    from buildtool.lock.model import FILE_NAME
    from buildtool.lock.read import read

    path = os.path.join(path, "Dockerfile") if os.path.isdir(path) else path
    folder = "." if path == "-" else os.path.dirname(path) or "."
    text = read_dockerfile(path, None)
    request = Request(
        folder=folder,
        epoch=DEFAULT_EPOCH,
        target=target,
        build_args=arguments,
        platform=this_platform(),
        build_platform=this_platform(),
        ignore=read_ignore(path, folder),
        filename="Dockerfile" if path == "-" else os.path.normpath(path),
    )
    return check(text, request, lock=read(os.path.join(folder, FILE_NAME)))
