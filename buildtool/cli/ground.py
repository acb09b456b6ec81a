"""Where a build stands: the lock of its folder, what that pins, and the way to everything outside."""

import os
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from buildtool.cli.bundles import Bundles
from buildtool.cli.lending import hosts_of
from buildtool.cli.lockfile import LockFile
from buildtool.cli.outside import Outside
from buildtool.cli.request import BuildRequest, DockerfileSubject
from buildtool.executor.progress import Progress
from buildtool.lock.model import Lock
from buildtool.lock.resolve import Pins
from buildtool.lock.update import dropped, restored
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.registry.client import Registries


class Ground:
    """Known once the frontends have said where the build is.

    Each attempt of a build opens it again: others may have written the lock meanwhile.
    """

    def __init__(self, request: BuildRequest, store: Store, progress: Progress) -> None:
        self._request = request
        self._store = store
        self._progress = progress
        self.lock_file = LockFile()
        self._first: LockFile | None = None
        #: Patterns of the pins that are found anew, until they have been.
        self._moving = request.update
        self._pins: Pins | None = None
        self._outside: Outside | None = None
        self._registries: Callable[[], Registries] | None = None

    def open(self, folder: str, text: bytes | None = None) -> None:
        """Begin with the lock in `folder`, or with a `text` that came with the build's context."""
        request = self._request
        self.lock_file = LockFile(folder, text, self._progress) if request.use_lock else LockFile()
        self._first = self._first or self.lock_file
        if self._outside is None:
            self.look_out(folder)
        start, anew = dropped(self.lock_file.lock, self._moving)
        self._pins = Pins(
            start,
            self.outside,
            request.locked or request.offline,
            "--offline" if request.offline else "--locked",
            anew,
            request.pull,
        )

    def look_out(self, folder: str) -> Outside:
        """The outside as it is seen from a folder: a context may come from there, and its lock with it."""
        request = self._request
        self._registries = cache(lambda: request.access.registries(folder))
        login = partial(request.lending.git_login, os.environ, hosts_of(_named(request)))
        bundles = Bundles(
            self._store.blobs, request.bundles, self._pushed_bundle, self._registries, self._progress
        )
        self._outside = Outside(
            self._store,
            folder,
            self._instants,
            self._progress,
            self._registries,
            login,
            request.offline,
            bundles,
        )
        return self._outside

    @property
    def pins(self) -> Pins:
        """What is pinned by now."""
        assert self._pins is not None
        return self._pins

    @property
    def outside(self) -> Outside:
        """Where things come from."""
        assert self._outside is not None
        return self._outside

    def registries(self) -> "Registries":
        """The registries as this place and the command line say."""
        assert self._registries is not None
        return self._registries()

    def keep(self, *, done: bool = False) -> bool:
        """Write down what is pinned by now; False if others changed the same meanwhile.

        Pins that nothing asked for leave the lock when the build is `done`, where it is to prune them.
        """
        return self.lock_file.keep(self._found(done))

    def settle(self) -> None:
        """What was to be found anew has been: the next attempt takes it from the lock."""
        self._moving = ()

    def locks(self) -> tuple[Lock, Lock, str]:
        """The lock as it was before the build and as it is now, and the path of its file, if it has one."""
        from buildtool.lock.read import read

        first = self._first or self.lock_file
        return first.lock, read(first.path) if first.path else first.lock, first.path

    def _found(self, done: bool) -> Lock:
        """The lock as it should be written, with the old pins of whatever was not found anew."""
        if self._pins is None:
            return self.lock_file.lock
        if done and self._request.prune:
            return self._pins.pruned()
        return restored(self.lock_file.lock, self._pins.lock) if self._moving else self._pins.lock

    def _instants(self) -> tuple[int, ...]:
        return self._pins.lock.instants() if self._pins is not None else ()

    def _pushed_bundle(self) -> str:
        return "" if self._request.offline or self._pins is None else self._pins.lock.bundle


def _named(request: BuildRequest) -> list[str]:
    """The places of contexts on the command line."""
    subject = request.subject
    if not isinstance(subject, DockerfileSubject):
        return []
    return [subject.context, *dict(subject.contexts).values()]
