"""Images of the store as commands are given them: a name, or `sha256:...`."""

from dataclasses import dataclass

from buildtool.cli.names import parse_name
from buildtool.cli.places import whole_digest
from buildtool.diag import BuildError, suggestion
from buildtool.digest import Digest
from buildtool.oci.export import Export
from buildtool.oci.layout import Layout
from buildtool.oci.model import Descriptor, Manifest
from buildtool.reference import Reference
from buildtool.store import Store


@dataclass(frozen=True, slots=True)
class Stored:
    """An image or index among the store's blobs; `name` is how it was asked for, if by name."""

    descriptor: Descriptor
    name: Reference | None = None

    def export(self, *more: Reference) -> Export:
        """What is written of it, under its name and some more."""
        names = tuple(str(n) for n in (self.name, *more) if n)
        return Export(self.descriptor.digest, self.descriptor.size, self.descriptor.media_type, names)


def find_stored(store: Store, layout: Layout, text: str) -> Stored:
    """The image that `text` names; BuildError `no-such-image`."""
    if text.startswith("sha256:"):
        return Stored(_entry(layout, whole_digest(layout, text), text))
    name = parse_name(text)
    known = store.results.refs()
    digest = known.get(name.short)
    if digest is None:
        raise no_such_image(name.short, known)
    return Stored(_entry(layout, digest, text), name)


def no_such_image(name: str, known: dict[str, Digest]) -> BuildError:
    """The error for a name that the store does not have."""
    hint = suggestion(name, known) or "buildtool images lists what is there"
    return BuildError("no-such-image", f"there is no image {name} in the store", hint=hint)


def for_platform(layout: Layout, stored: Stored, text: str) -> Stored:
    """Of several images the one for the platform `text`; BuildError `no-such-platform`."""
    from buildtool.cli.platforms import parse_platform

    found = layout.resolve("", stored.descriptor.digest, parse_platform(text))
    return Stored(found, stored.name)


def is_image(layout: Layout, stored: Stored) -> bool:
    """Whether it is one image rather than an index of several."""
    return isinstance(layout.manifest(stored.descriptor), Manifest)


def _entry(layout: Layout, digest: Digest, text: str) -> Descriptor:
    entry = layout.entry(digest)
    if entry is None:
        raise BuildError(
            "no-such-image", f"there is no image {text} in the store", hint="build or load it again"
        )
    return entry
