"""`buildtool lock`: pins without building an output, and what there is to be done with a lock."""

import importlib
import os
from dataclasses import replace
from typing import Any

import click

from buildtool.cli.access import access_options
from buildtool.cli.lazy import Lazy
from buildtool.cli.options import request_of, subject_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

_PARTS = {
    "show": Lazy("buildtool.cli.lockshow", "Say in words what a lock has, or what changed in it."),
    "bundle": Lazy("buildtool.cli.lockbundle", "Write all that a lock names into a folder to take along."),
    "push": Lazy("buildtool.cli.lockpush", "Push all that a lock names to a registry, for builds to take."),
}


class _Lock(SwitchCommand):
    """A command whose first word may name another one."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if not args or args[0] not in _PARTS:
            return super().make_context(info_name, args, parent, **extra)
        part: click.Command = importlib.import_module(_PARTS[args[0]].module).command
        return part.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _PARTS.items()])


@click.command("lock", cls=_Lock)
@subject_options
@access_options
@click.option(
    "--update",
    multiple=True,
    is_flag=False,
    flag_value="*",
    metavar="[PATTERN]",
    help="Find pins anew: those whose name, word of a name or package matches. [default: all]",
)
@click.option("--prune", is_flag=True, help="Drop the pins that nothing asks for any longer.")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a locked build would fail.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Steps at once. [default: CPUs]")
def command(
    *, what: tuple[str, ...], update: tuple[str, ...], prune: bool, check: bool, **options: Any
) -> int:
    """Pin what moves in buildtool.lock.

    Carries out what that takes (RUN steps that use the network are recorded), and writes no image
    anywhere. Without CONTEXT or LABEL it is the Dockerfile of this folder, or every target of the
    workspace.
    """
    if check and (update or prune):
        raise BuildError("bad-usage", "--check changes nothing, and --update and --prune do")
    if options["no_lock"]:
        raise BuildError("bad-usage", "lock is about the lock that --no-lock leaves alone")
    request = request_of(what=what or here(), **options)
    request = replace(request, locked=request.locked or check, update=update, prune=prune)
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session

    with choose("auto") as view, Session(request, view) as session:
        try:
            session.build()
        except BuildError as error:
            if check:
                error.exit_status = 1
            raise
        before, after, path = session.ground.locks()
    from buildtool.cli.lockshow import tell

    tell(before, after, os.path.relpath(path) if path else "the lock")
    return 0


def here() -> tuple[str, ...]:
    """What is meant where nothing is named."""
    return (".",) if os.path.isfile("Dockerfile") else ("//...",)
