"""Bundles that a build may take from: those of folders, and the one that its lock says was pushed."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from buildtool.diag import BuildError, Warned
from buildtool.digest import Digest, Key
from buildtool.executor.progress import Progress
from buildtool.store import Blobs

if TYPE_CHECKING:
    from buildtool.oci.bundle import Contents
    from buildtool.registry.client import Registries

T = TypeVar("T")


class Source(Protocol):
    """A bundle."""

    def git(self, key: Key) -> Digest | None:
        """The archive of a commit."""

    def bring(self, digest: Digest, blobs: Blobs) -> bool:
        """Put a blob among ours, verified; False if the bundle has it not."""


class Bundles:
    """Bundles, opened when something is missing for the first time.

    `pushed` gives the reference of one in a registry, empty for none.  One of a folder was
    named by the person who builds, and has to be right; one of a registry may fail, which is
    a warning.
    """

    def __init__(
        self,
        blobs: Blobs,
        folders: Sequence[str],
        pushed: Callable[[], str],
        registries: "Callable[[], Registries]",
        progress: Progress,
    ) -> None:
        self._blobs = blobs
        self._folders = folders
        self._pushed = pushed
        self._registries = registries
        self._progress = progress

    def bring(self, digest: Digest) -> bool:
        """Put a blob among those of the store, if it is there already or a bundle has it."""
        return self._blobs.has(digest) or any(self._ask(lambda source: source.bring(digest, self._blobs)))

    def git(self, key: Key) -> Digest | None:
        """The archive of a commit, brought."""
        archive = next(filter(None, self._ask(lambda source: source.git(key))), None)
        return archive if archive is not None and self.bring(archive) else None

    def _ask(self, ask: Callable[[Source], T]) -> Iterator[T]:
        """What the bundles say, those of folders first."""
        for source in self._local:
            yield ask(source)
        try:
            if self._remote is not None:
                yield ask(self._remote)
        except BuildError as error:
            # From its first failure on, it is as if there were none.
            self._remote = None
            why = f"the bundle of the lock is not used: {error.message}"
            self._progress.warned(Warned("bundle-unusable", why, hint=error.hint))

    @cached_property
    def _local(self) -> tuple[Source, ...]:
        if not self._folders:
            return ()
        from buildtool.oci.bundle import Bundle

        return tuple(Bundle(folder) for folder in self._folders)

    @cached_property
    def _remote(self) -> "Pushed | None":
        reference = self._pushed()
        return Pushed(reference, self._registries(), self._blobs) if reference else None


class Pushed:
    """A bundle in a registry; BuildErrors of `registry.pull.Puller`, and `no-bundle`."""

    def __init__(self, reference: str, registries: "Registries", blobs: Blobs) -> None:
        from buildtool.registry.pull import Puller
        from buildtool.registry.reference import parse_reference

        self._puller = Puller(registries, parse_reference(reference), blobs)

    def git(self, key: Key) -> Digest | None:
        """The archive of a commit."""
        return self._contents.git.get(key)

    def bring(self, digest: Digest, blobs: Blobs) -> bool:
        """Put a blob among ours, verified; False if the bundle has it not."""
        from buildtool.oci.model import Descriptor

        size = self._contents.blobs.get(digest)
        if size is None:
            return False
        self._puller.blob(Descriptor("application/octet-stream", digest, size))
        return True

    @cached_property
    def _contents(self) -> "Contents":
        from buildtool.oci.bundle import contents_of
        from buildtool.oci.model import Manifest

        document = self._puller.manifest(self._puller.document())
        if not isinstance(document, Manifest):
            raise BuildError("no-bundle", f"{self._puller.reference} is an index, not a bundle")
        return contents_of(document)
