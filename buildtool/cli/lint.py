"""`buildtool lint`: what the rules find in Dockerfiles and Starlark files, without building them."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.cli.findings import Checked, Rule

SUFFIX = ".star"


@click.command("lint")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
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
@click.option("--fix", is_flag=True, help="Mend and format Starlark files where that is safe, then check.")
@click.option("--explain", default="", metavar="RULE", help="Print what a rule is about, and check nothing.")
def command(
    paths: tuple[str, ...],
    form: str,
    build_arg: tuple[str, ...],
    target: str,
    strict: bool,
    fix: bool,
    explain: str,
) -> int:
    """Check Dockerfiles and BUILD.star files for mistakes, and for what makes two builds differ.

    A PATH is a Dockerfile, a .star file, a folder (its Dockerfile and all .star files in it and
    below), or - for a Dockerfile on standard input; by default it is this folder. Base images are
    not looked at. The exit status is 2 if a file cannot be built, 1 if there are warnings, and 0
    otherwise.
    """
    if explain:
        click.echo(_explained(explain), nl=False)
        return 0
    from buildtool.cli.request import pairs

    arguments = dict(pairs("--build-arg", build_arg, environment=os.environ))
    checked: list[Checked] = []
    for path in _files(paths or (".",)):
        if path.endswith(SUFFIX):
            checked.append(_check_starlark(path, fix=fix))
        else:
            checked.append(_check(path, arguments, target))
    tell(checked, form)
    return status_of(checked, strict=strict)


def _explained(name: str) -> str:
    from buildtool.diag import suggestion
    from buildtool.frontends.dockerfile.lint import pages as dockerfile_pages
    from buildtool.frontends.dockerfile.lint.registry import BY_NAME as DOCKERFILE
    from buildtool.frontends.starlark.lint import pages as starlark_pages
    from buildtool.frontends.starlark.lint.registry import BY_NAME as STARLARK

    if name in DOCKERFILE:
        return dockerfile_pages.page(DOCKERFILE[name])
    if name in STARLARK:
        return starlark_pages.page(STARLARK[name])
    known = [*DOCKERFILE, *STARLARK]
    hint = (
        suggestion(name, known) or "the manual has all rules; what lint finds comes with the name of its rule"
    )
    raise BuildError("unknown-rule", f"there is no rule {name!r}", hint=hint)


def _files(paths: Sequence[str]) -> Iterator[str]:
    """Dockerfiles and Starlark files; a folder without any of them has at least to have a Dockerfile."""
    from buildtool.frontends.starlark.places import star_files

    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        dockerfile = os.path.join(path, "Dockerfile")
        found = list(star_files(path))
        if os.path.exists(dockerfile) or not found:
            yield dockerfile
        yield from found


def _rules(checked: "Sequence[Checked]") -> "list[Rule]":
    """The rules of the languages that were checked."""
    from buildtool.frontends.dockerfile.lint.registry import RULES as DOCKERFILE
    from buildtool.frontends.starlark.lint.registry import RULES as STARLARK

    known: dict[str, Sequence[Rule]] = {"Dockerfile": DOCKERFILE, "Starlark": STARLARK}
    languages = {one.language for one in checked}
    return [rule for language, rules in known.items() if language in languages for rule in rules]


def tell(checked: "Sequence[Checked]", form: str) -> None:
    """Print what was found."""
    import sys

    from buildtool.cli.console import style_of
    from buildtool.cli.findings import as_json, as_sarif, as_text

    if form == "text":
        text = as_text(checked, style_of(sys.stdout))
    else:
        text = as_json(checked) if form == "json" else as_sarif(checked, _rules(checked))
    click.echo(text, nl=False)


def status_of(checked: "Sequence[Checked]", *, strict: bool = False) -> int:
    """The exit status: the errors' own, or 1 where there are warnings."""
    errors = [error.exit_status for one in checked for error in one.errors]
    severities = {finding.rule.severity for one in checked for finding in one.findings}
    return max([*errors, int("warning" in severities or (strict and "note" in severities))])


def _check_starlark(path: str, *, fix: bool) -> "Checked":
    from buildtool.cli.editing import replace_text
    from buildtool.frontends.starlark.lint.check import check, mended
    from buildtool.frontends.starlark.places import read_star

    path = os.path.normpath(path)
    data = read_star(path)
    if fix:
        try:
            after = mended(data, path).encode()
        except BuildError:
            # It cannot be read; the check says so.
            after = data
        if after != data:
            replace_text(path, after.decode())
            click.echo(f"mended {path}", err=True)
        data = after
    return check(data, path)


def _check(path: str, arguments: dict[str, str], target: str) -> "Checked":
    from buildtool.cli.contexts import read_dockerfile, read_ignore
    from buildtool.cli.request import DEFAULT_EPOCH
    from buildtool.cli.services import this_platform
    from buildtool.frontends.dockerfile.lint.check import check
    from buildtool.frontends.dockerfile.request import Request
    from buildtool.lock.model import FILE_NAME
    from buildtool.lock.read import read

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
