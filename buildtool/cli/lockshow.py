"""`buildtool lock show`: what a lock has, or what changed in it, in words."""

import os
import subprocess

import click

from buildtool.diag import BuildError
from buildtool.lock.compare import compare
from buildtool.lock.model import FILE_NAME, Lock
from buildtool.lock.read import loads, read

_LONGEST = 64 << 20
_WIDEST = 48


@click.command("show")
@click.argument("path", required=False, default=FILE_NAME, metavar="[FILE]")
@click.option(
    "--against",
    default="",
    metavar="FILE",
    help="The older lock. [default: the committed one; empty where there is none]",
)
@click.option("--all", "everything", is_flag=True, help="Say all that is in the lock.")
def command(*, path: str, against: str, everything: bool) -> int:
    """Say what changed in a lock: images, packages with their versions, files, steps.

    FILE is the newer lock, by default the one of this folder.
    """
    if os.path.isdir(path):
        path = os.path.join(path, FILE_NAME)
    for needed in (path, *((against,) if against else ())):
        if not os.path.exists(needed):
            raise BuildError("no-lock", f"there is no {needed}", hint="a build writes it")
    if everything and against:
        raise BuildError("bad-usage", "--all and --against contradict each other")
    tell(Lock() if everything else read(against) if against else _committed(path), read(path), path)
    return 0


def tell(before: Lock, after: Lock, name: str) -> None:
    """Print what changed, on standard output."""
    sections = compare(before, after)
    if not sections:
        print(f"{name}: nothing changed")
    for section in sections:
        print(section.title)
        width = min(_WIDEST, max(len(change.subject) for change in section.changes))
        for change in section.changes:
            values = " -> ".join(value for value in (change.before, change.after) if value)
            print(f"  {change.kind:<7}  {change.subject:<{width}}  {values}".rstrip())


def _committed(path: str) -> Lock:
    """The lock as git's HEAD has it; an empty one without git, or where HEAD has none."""
    folder, name = os.path.split(os.path.abspath(path))
    try:
        found = subprocess.run(
            ["git", "-C", folder, "show", f"HEAD:./{name}"], capture_output=True, timeout=60, check=False
        )
    except FileNotFoundError:
        return Lock()
    if found.returncode != 0 or len(found.stdout) > _LONGEST:
        return Lock()
    return loads(found.stdout, f"HEAD:{name}")
