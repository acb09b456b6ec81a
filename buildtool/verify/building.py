"""Builds in worlds: each a child process with a store of its own, from which nothing of another build helps.

What a lock names is brought along, verified: the inputs of a build are the same in every
world, and need no network the second time.
"""

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.oci.model import INDEX, LARGEST_DOCUMENT, MANIFEST, Manifest, decode_manifest
from buildtool.store import Blobs, Store
from buildtool.verify.copying import copy_tree, disordered, give
from buildtool.verify.enter import Entrance
from buildtool.verify.folders import Folders, discard
from buildtool.verify.model import World
from buildtool.verify.perturb import Surroundings, another_account

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_LARGEST_LOCK = 64 << 20
#: Seconds that a build has to end in when it is told to.
_GRACE = 20


@dataclass(frozen=True, slots=True)
class Work:
    """What is built: the `arguments` of `buildtool build` that say how, and what they apply to.

    `sources` is the folder with all files of this machine that the build may read (a context,
    or a workspace), empty for a context from elsewhere.  A Dockerfile build has a `context` and a
    `dockerfile` (empty: the context's), others have `labels`, as written in the folder `cwd`.
    """

    arguments: tuple[str, ...]
    cwd: str
    sources: str = ""
    context: str = ""
    dockerfile: str = ""
    labels: tuple[str, ...] = ()
    lock: str = ""

    def moved(self, place: str) -> "Work":
        """The same work on a copy of the sources at `place`."""

        def to(path: str) -> str:
            below = os.path.relpath(os.path.abspath(os.path.join(self.cwd, path)), self.sources)
            return path if below.startswith("..") else os.path.normpath(os.path.join(place, below))

        if self.labels:
            return replace(self, cwd=to(self.cwd), sources=place)
        return replace(
            self,
            sources=place,
            context=to(self.context),
            dockerfile=os.path.abspath(to(self.dockerfile)) if self.dockerfile else "",
        )

    def command(self) -> list[str]:
        """The arguments of `buildtool` that build it."""
        subject = list(self.labels) or [self.context]
        file = ["--file", self.dockerfile] if self.dockerfile else []
        return ["build", *self.arguments, *file, "--", *subject]


@dataclass(frozen=True, slots=True)
class Made:
    """A result of a build: its `target` (empty for a Dockerfile), its digest, and its images.

    An image has one, without a platform; an index has one a platform.
    """

    target: str
    digest: Digest
    images: tuple[tuple[str, Digest], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a build came to: its results, in order, or what it `said` when it failed.

    `store` is a layout that holds the results; `world` is what is known of where it was built.
    """

    made: tuple[Made, ...]
    store: str
    status: int = 0
    said: str = ""
    world: World = World()

    @property
    def digests(self) -> tuple[Digest, ...]:
        """The digests of the results."""
        return tuple(made.digest for made in self.made)

    def like(self, other: "Outcome") -> bool:
        """Whether both came to the same: equal digests, or two failures."""
        return self.digests == other.digests and bool(self.status) == bool(other.status)


class Bench:
    """Where builds are made; a context manager that leaves nothing behind."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._folders = Folders()
        self._folder = self._folders.make()
        self._count = 0

    def __enter__(self) -> "Bench":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folders.close()

    def build(self, world: Surroundings, known: str = "") -> Outcome:
        """Build without cache in a world; what the lock names comes from the store `known`, or the user's."""
        self._count += 1
        place = f"{self._folder}/{self._count}"
        os.mkdir(place, 0o755)
        memory = self._in_memory() if world.memory else place
        store = f"{memory}/{world.store or 'store'}"
        with ExitStack() as stack:
            work = self._work
            if world.copies and work.sources:
                work = work.moved(self._copied(world, place, stack))
            self._seed(known, store)
            if world.user:
                for folder in {place, memory}:
                    give(folder, *_ids(world.user))
            outcome = _ran(work, world, place, store, self._folders.locks)
            if world.user and os.path.isdir(store):
                # We are the one who reads it from now on.
                give(store, os.geteuid(), os.getegid())
            return outcome

    def discard(self, outcome: Outcome) -> None:
        """Make room: nobody will look at these results any more."""
        if os.path.isdir(outcome.store):
            discard(outcome.store)

    def _in_memory(self) -> str:
        # The folder itself stays ours, whoever builds in it.
        made = f"{self._folders.make(memory=True)}/{self._count}"
        os.mkdir(made, 0o755)
        return made

    def _copied(self, world: Surroundings, place: str, stack: ExitStack) -> str:
        name = world.folder or "sources"
        real = f"{place}/files/{name}"
        copy_tree(self._work.sources, real, world.order)
        if world.user:
            give(f"{place}/files", *_ids(world.user))
        return stack.enter_context(disordered(real, f"{place}/{name}", world.order))

    def _seed(self, known: str, store: str) -> None:
        if not self._work.lock or not os.path.exists(self._work.lock):
            return
        with open(self._work.lock, "rb") as file:
            digests = dict.fromkeys(_DIGEST.findall(file.read(_LARGEST_LOCK)))
        with Store.open(known or None) as source, Store.open(store) as target:
            bring([parse_digest(d.decode()) for d in digests], source.blobs, target.blobs)


def bring(digests: Sequence[Digest], source: Blobs, target: Blobs) -> None:
    """Copy blobs that are there from store to store, and what those lead to that are manifests."""
    waiting = list(digests)
    while waiting:
        digest = waiting.pop()
        if target.has(digest) or not source.has(digest):
            continue
        try:
            with source.open(digest) as blob, target.writer(digest) as out:
                while chunk := blob.read(1 << 20):
                    out.write(chunk)
        except BuildError as error:
            if error.code not in ("corrupt-blob", "missing-blob", "digest-mismatch"):
                raise
            continue  # the build fetches it anew, and says so if it cannot
        if target.size(digest) <= LARGEST_DOCUMENT:
            waiting += _linked(target.read(digest, LARGEST_DOCUMENT))


def _linked(data: bytes) -> list[Digest]:
    for kind in (MANIFEST, INDEX) if data.startswith(b"{") else ():
        try:
            found = decode_manifest(data, kind, "a blob")
        except BuildError:
            continue  # most JSON documents are neither
        if isinstance(found, Manifest):
            return [found.config.digest, *(layer.digest for layer in found.layers)]
        return [inner.digest for inner in found.manifests]
    return []


def _ran(work: Work, world: Surroundings, place: str, store: str, locks: tuple[int, ...]) -> Outcome:
    told = f"{place}/{secrets.token_hex(4)}.json"
    jobs = ["--jobs", str(world.jobs)] if world.jobs else []
    arguments = work.command()
    arguments[1:1] = ["--no-cache", "--progress", "quiet", "--metadata-file", told, *jobs]
    python = [sys.executable, "-P", "-m"]
    begun = int(time.time())
    command = [*python, "buildtool.verify.enter", msgspec.json.encode(entrance_of(world)).decode()]
    status, said = _attended(
        subprocess.Popen(
            [*command, *python, "buildtool", *arguments],
            env=_environment(world, store),
            cwd=work.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=locks,
        )
    )
    known = _known(work, world, store, (begun, int(time.time()) + 1))
    if status != 0:
        return Outcome((), store, status, said.decode("utf-8", "backslashreplace"), known)
    return Outcome(_made(told), store, world=known)


def _attended(process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    """The status and the errors of a process; where we are interrupted, it ends before we do."""
    with process:
        try:
            _, said = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, said


def entrance_of(world: Surroundings) -> Entrance:
    """What a process changes about itself to be in a world."""
    return Entrance(
        world.cpus,
        world.umask,
        world.hostname,
        world.personality,
        world.nice,
        world.limits,
        _ids(world.user) if world.user else (-1, -1),
        dict(world.env),
    )


def _known(work: Work, world: Surroundings, store: str, window: tuple[int, int]) -> World:
    """What a comparison may know of the world of a build."""
    system = os.uname()
    env = {**os.environ, **world.env}
    return World(
        window=window,
        hostname=world.hostname or system.nodename,
        paths=tuple(path for path in (work.sources, store) if path),
        user=account(world.user) if world.user else "",
        cpus=world.cpus or len(os.sched_getaffinity(0)),
        locale=env.get("LC_ALL") or env.get("LANG") or "",
        zone=env.get("TZ") or "",
        kernel=system.release,
    )


def _environment(world: Surroundings, store: str) -> dict[str, str]:
    found = {**os.environ, "BUILDTOOL_STORE": store}
    if world.user:
        import pwd

        found |= {"HOME": pwd.getpwnam(account(world.user)).pw_dir, "USER": account(world.user)}
    return found


def _made(path: str) -> tuple[Made, ...]:
    """The results that a metadata file tells of."""
    with open(path, "rb") as file:
        document = msgspec.json.decode(file.read())
    records = document if isinstance(document, list) else [document]
    return tuple(
        Made(
            record.get("target", ""),
            _digest_of(record),
            tuple(
                (platform, _digest_of(image))
                for platform, image in record.get("images", {"": record}).items()
            ),
        )
        for record in records
    )


def _digest_of(record: Mapping[str, Any]) -> Digest:
    return parse_digest(record["containerimage.digest"])


def account(user: str) -> str:
    """The account that a world's `user` means: `*` is any that is fit."""
    return another_account() if user == "*" else user


def _ids(user: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(account(user))
    return entry.pw_uid, entry.pw_gid
