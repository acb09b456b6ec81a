"""`buildtool fmt`: BUILD.star and .star files in one layout, that of buildifier."""

import sys
from collections.abc import Iterator, Sequence

import click

from buildtool.diag import BuildError, BuildErrors


@click.command("fmt")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.option(
    "--stdin-filename",
    default="BUILD.star",
    metavar="NAME",
    show_default=True,
    help="With -, the name that says how to format: BUILD.star, or a library.",
)
def command(*, paths: tuple[str, ...], check: bool, diff: bool, stdin_filename: str) -> int:
    """Format BUILD.star files and the .star files that they load, in place.

    A PATH is a file, a folder with all of these files below it, or - to read standard input and
    print; by default it is this folder. The exit status is 0 if all is well, 1 if --check finds
    a file that would change, and 2 if a file cannot be read as Starlark, which stays as it is.
    """
    from buildtool.cli.editing import replace_text
    from buildtool.frontends.starlark.formatting.format import formatted

    changed: list[str] = []
    seen = 0
    errors: list[BuildError] = []
    for path in _files(paths or (".",)):
        seen += 1
        piped = path == "-"
        try:
            before = _read(path)
            after = formatted(before, stdin_filename if piped else path)
        except BuildError as error:
            errors.append(error)
            continue
        differs = after.encode() != before
        if differs:
            changed.append(path)
        if diff:
            _print_diff(before, after, path)
        elif piped and not check:
            click.echo(after, nl=False)
        elif differs and not check:
            replace_text(path, after)
    _tell(changed, seen, check=check, diff=diff)
    if errors:
        raise BuildErrors(errors) if len(errors) > 1 else errors[0]
    return int(check and bool(changed))


def _tell(changed: Sequence[str], seen: int, *, check: bool, diff: bool) -> None:
    """What became of the files, on stderr, since a diff or a formatted text may go to stdout."""
    named = [path for path in changed if path != "-"]
    would = check or diff
    for path in named:
        click.echo(f"{'would format' if would else 'formatted'} {path}", err=True)
    if check and changed:
        files = "1 file" if len(changed) == 1 else f"{len(changed)} files"
        click.echo(f"{files} of {seen} would change; buildtool fmt writes them", err=True)


def _files(paths: Sequence[str]) -> Iterator[str]:
    """The files that paths stand for, each once, folders in the order of their names."""
    from buildtool.frontends.starlark.places import star_files

    seen: set[str] = set()
    for path in paths:
        for file in ["-"] if path == "-" else star_files(path):
            if file not in seen:
                seen.add(file)
                yield file


def _read(path: str) -> bytes:
    from buildtool.frontends.starlark.places import read_star

    return sys.stdin.buffer.read() if path == "-" else read_star(path)


def _print_diff(before: bytes, after: str, path: str) -> None:
    import difflib

    name = "stdin" if path == "-" else path
    rows = difflib.unified_diff(
        before.decode().splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"{name} (as it is)",
        f"{name} (formatted)",
    )
    for row in rows:
        click.echo(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n", nl=False)
