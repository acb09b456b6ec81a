"""`buildtool lock push`: everything that builds from a lock need, in a registry, and its name in the lock."""

from dataclasses import replace
from typing import Any

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.lock import here
from buildtool.cli.lockbundle import gathered
from buildtool.cli.options import request_of, subject_options
from buildtool.cli.switches import SwitchCommand


@click.command("push", cls=SwitchCommand)
@click.argument("reference", metavar="HOST/PATH:TAG")
@subject_options
@access_options
def command(*, reference: str, what: tuple[str, ...], access: Access, **options: Any) -> int:
    """Push everything that builds from this lock take from elsewhere, and name the place in the lock.

    It is the artifact that `lock bundle` writes. Builds then take from it what the store lacks.
    """
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session
    from buildtool.registry.reference import parse_reference

    access = access.to([parse_reference(reference).host])
    request = replace(request_of(what=what or here(), **options), locked=True, access=access)
    with choose("auto") as view, Session(request, view) as session:
        bundle, _ = gathered(session)
        pushed = session.push_bundle(bundle, reference)
    print(pushed)
    return 0
