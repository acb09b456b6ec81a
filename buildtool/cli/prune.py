"""`buildtool prune`: room made in the store."""

import os
import re

import click

from buildtool.diag import BuildError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command("prune")
@click.option(
    "--unused-for",
    default="14d",
    metavar="DURATION",
    help="Keep what was used since: 12h, 3d, 2w. [default: 14d]",
)
@click.option("-a", "--all", "everything", is_flag=True, help="Keep nothing but images that have a name.")
def command(unused_for: str, everything: bool) -> None:
    """Remove what no image needs and no build used for a while.

    Images that have a name stay; buildtool rmi takes names away. Builds may go on meanwhile, unless
    it is about what was used within a day.
    """
    from buildtool.cli.progress.wording import plural, size
    from buildtool.store import Store
    from buildtool.store.collect import collect
    from buildtool.verify.folders import sweep

    seconds = 0.0 if everything else parse_duration(unused_for)
    with Store.open() as store:
        gone = collect(store, unused_for=seconds)
        path = store.path
    if os.geteuid() != 0:
        _sweep_inside(path)
    parts = {
        "blob": gone.blobs,
        "snapshot": gone.snapshots,
        "result": gone.results,
        "cache": gone.caches,
        "leftover": gone.leftovers + sweep(),
    }
    told = ", ".join(plural(count, noun) for noun, count in parts.items() if count)
    room = f", {size(gone.bytes)} of room" if gone.bytes else ""
    click.echo(f"removed {told}{room}" if told else "nothing to remove")


def _sweep_inside(path: str) -> None:
    """Let a worker remove what belongs to subordinate users: it sweeps when it ends."""
    from buildtool.executor.pool import WorkerProcess

    WorkerProcess(path, None).close()


def parse_duration(text: str) -> float:
    """Seconds of `90m`, `12h`, `3d`, `2w`; BuildError `bad-usage`."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if found is None:
        raise BuildError("bad-usage", f"{text!r} is not a duration", hint="for example 12h, 3d or 2w")
    return float(int(found[1]) * _UNITS[found[2]])
