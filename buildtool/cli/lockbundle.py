"""`buildtool lock bundle`: everything that builds from a lock need, in a folder to take along."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from buildtool.cli.access import access_options
from buildtool.cli.lock import here
from buildtool.cli.options import request_of, subject_options
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError, Note
from buildtool.digest import Digest, Key
from buildtool.graph.keys import key
from buildtool.graph.model import FetchSource, GitSource, ImageSource, walk
from buildtool.lock.model import Lock
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.cli.outside import Outside
    from buildtool.cli.session import Session
    from buildtool.oci.export import Export

_MOST_NAMED = 10


@click.command("bundle", cls=SwitchCommand)
@click.argument("folder", metavar="DIR")
@subject_options
@access_options
def command(*, folder: str, what: tuple[str, ...], **options: Any) -> int:
    """Write everything that builds from this lock take from elsewhere into DIR.

    It is an OCI layout with one artifact: answers that RUN steps were given, pinned files, packages,
    git commits, layers of base images. `build --bundle DIR` takes from it what the store lacks.
    """
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session
    from buildtool.oci.bundle import write_bundle

    request = replace(request_of(what=what or here(), **options), locked=True)
    with choose("auto") as view, Session(request, view) as session:
        bundle, count = gathered(session)
        write_bundle(folder, bundle, session.store.blobs)
    print(f"{folder}: {count} blobs, {bundle.digest}")
    return 0


def gathered(session: "Session") -> "tuple[Export, int]":
    """The bundle of what a request needs and of all recordings of its lock, and the number of its blobs."""
    from buildtool.oci.bundle import make_bundle

    roots, outside = session.roots(), session.ground.outside
    lock, _, _ = session.ground.locks()
    digests = _bodies(lock, session.store, outside)
    git: dict[Key, Digest] = {}
    for step in walk(list(roots)):
        if isinstance(step, FetchSource):
            outside.fetch_file(step, _quietly)
            digests.add(step.digest)
        elif isinstance(step, GitSource):
            git[key(step, lambda s: None)] = outside.fetch_git(step)
        elif isinstance(step, ImageSource) and not step.location.startswith("oci-layout:"):
            digests |= _image(step, session.store, outside)
    return make_bundle(digests, git, session.store.blobs), len(digests | set(git.values()))


def _bodies(lock: Lock, store: Store, outside: "Outside") -> set[Digest]:
    """The answers to all steps; BuildError `body-missing` if some are not in the store."""
    places = {e.body: e.place for pins in lock.runs.values() for e in pins.exchanges if e.body is not None}
    outside.fetch_bodies(places)
    missing = [place for body, place in places.items() if not store.blobs.has(body)]
    if missing:
        raise BuildError(
            "body-missing",
            f"the store lacks {len(missing)} of {len(places)} answers to steps",
            notes=[Note(place) for place in missing[:_MOST_NAMED]],
            hint="build with --no-cache once: what is missing is asked for again",
            exit_status=1,
        )
    return set(places)


def _image(step: ImageSource, store: Store, outside: "Outside") -> set[Digest]:
    """Manifest, config and layers of a base image; the first two are there since it was looked at."""
    from buildtool.registry.source import config_of

    for layer in step.layers:
        if not store.blobs.has(layer.digest):
            outside.fetch_layer(step, layer.digest, _quietly)
    return {step.manifest, config_of(store.blobs, step.manifest), *(layer.digest for layer in step.layers)}


def _quietly(done: int, total: int | None) -> None:
    """Downloads for a bundle are not told of one by one."""
