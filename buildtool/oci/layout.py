"""Image layouts that exist: a folder, or a tar archive of one (image-spec, "Image Layout").

A layout is foreign: documents are bounded, every blob is verified against digest
and size before anything of it is believed, and a digest never acts as a path.
"""

import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, parse_digest, sha256
from buildtool.graph.model import Platform
from buildtool.oci.model import (
    CONFIG,
    IMAGE_NAME,
    INDEX,
    LARGEST_DOCUMENT,
    MANIFEST,
    REF_NAME,
    ConfigRecord,
    Descriptor,
    IndexRecord,
    LayoutRecord,
    Manifest,
    decode,
    decode_manifest,
    oci_type,
)
from buildtool.oci.platforms import fit
from buildtool.store import Blobs

#: Indexes within indexes that are followed.
_DEEPEST = 4
_CHUNK = 1 << 20

Advance = Callable[[int, int | None], None]


class Files(Protocol):
    """Where the files of a layout are; `name` is the layout in front of people."""

    @property
    def name(self) -> str: ...

    def open(self, path: str) -> tuple[BinaryIO, int]:
        """A regular file by its path in the layout, and its size in bytes; FileNotFoundError."""

    def blobs(self) -> list[str]:
        """The names in blobs/sha256, in order."""


class FolderFiles:
    """A layout that is a folder.  Blobs may be links: what they hold is verified all the same."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self, path: str) -> tuple[BinaryIO, int]:
        # A fifo in place of a file must not stop the reader.
        fd = os.open(f"{self.name}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise FileNotFoundError(path)
        return os.fdopen(fd, "rb"), found.st_size

    def blobs(self) -> list[str]:
        try:
            return sorted(os.listdir(f"{self.name}/blobs/sha256"))
        except (FileNotFoundError, NotADirectoryError):
            return []


class Layout:
    """An open layout: its index, and verified reading of what the index leads to."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.name = files.name
        version = decode(self._file("oci-layout"), LayoutRecord, f"oci-layout of {self.name}")
        if version.image_layout_version != "1.0.0":
            raise BuildError(
                "bad-layout", f"{self.name} is a layout of version {version.image_layout_version[:20]!r}"
            )

    def index(self) -> IndexRecord:
        """The layout's `index.json`; BuildError `ambiguous-manifest`, `bad-document`."""
        found = decode_manifest(self._file("index.json"), INDEX, f"index.json of {self.name}")
        assert isinstance(found, IndexRecord)
        return found

    def tags(self) -> list[str]:
        """The reference names of the layout, in order."""
        return sorted({_ref_name(entry) for entry in self.index().manifests} - {""})

    # ------------------------------------------------------------ finding an image

    def resolve(self, tag: str, digest: Digest | None, platform: Platform) -> Descriptor:
        """The descriptor of the image manifest that a reference means on a platform.

        `tag` is a reference name or the tag at its end.  Without tag and digest it is
        the only image, else the one called `latest`.  BuildError `no-such-image`,
        `no-such-platform`.
        """
        found = self._entries(tag, digest)
        images = [image for entry in found for image in self._images(entry, 0)]
        ranked = [(fit(platform, self.platform_of(image)), number) for number, image in enumerate(images)]
        best = max((pair for pair in ranked if pair[0] > 0), key=lambda p: (p[0], -p[1]), default=None)
        if best is None:
            there = sorted({str(self.platform_of(image)) for image in images})
            raise BuildError(
                "no-such-platform",
                f"{self.name} has no image for {platform}",
                hint=f"it has {', '.join(there)}" if there else "",
            )
        return images[best[1]]

    def named(self, tag: str, digest: Digest | None) -> Descriptor:
        """The descriptor that a reference means, be it of an image or of an index; as for `resolve`.

        BuildError `no-such-image`; `several-images` where the reference leaves it open.
        """
        found = {entry.digest: entry for entry in self._entries(tag, digest)}
        if len(found) > 1:
            raise BuildError(
                "several-images",
                f"{self.name} has several images",
                hint=f"name one: {', '.join(self.tags())}",
            )
        return next(iter(found.values()))

    def manifest(self, descriptor: Descriptor) -> Manifest | IndexRecord:
        """The verified document of a descriptor."""
        data = self.read(descriptor)
        return decode_manifest(data, descriptor.media_type, f"manifest {descriptor.digest} of {self.name}")

    def config(self, manifest: Manifest) -> ConfigRecord:
        """The verified config document of an image's manifest."""
        kind = manifest.config.media_type
        if oci_type(kind) != CONFIG:
            raise BuildError("no-such-image", f"{self.name}: an artifact of type {kind!r} is not an image")
        name = f"config {manifest.config.digest} of {self.name}"
        return decode(self.read(manifest.config), ConfigRecord, name)

    def _entries(self, tag: str, digest: Digest | None) -> list[Descriptor]:
        entries = [entry for entry in self.index().manifests if not is_attestation(entry)]
        if digest is not None:
            found = [entry for entry in entries if entry.digest == digest] or self._by_digest(digest)
        elif tag:
            found = [entry for entry in entries if tag in (_ref_name(entry), full_name(entry))]
            found = found or [entry for entry in entries if _ref_name(entry).endswith(f":{tag}")]
        else:
            named = [entry for entry in entries if _tag(entry) == "latest"]
            several = len({_ref_name(entry) for entry in entries}) > 1
            found = named if several else entries
        if not found:
            known = ", ".join(self.tags())
            raise BuildError(
                "no-such-image",
                f"{self.name} has no image {digest or repr(tag or 'latest')}",
                hint=f"it has {known}" if known else "none of its images has a name: refer to one by digest",
            )
        return found

    def _by_digest(self, digest: Digest) -> list[Descriptor]:
        """A manifest that the index does not name itself."""
        try:
            file, size = self.files.open(_blob_path(digest))
        except FileNotFoundError:
            return []
        with file:
            data = file.read(LARGEST_DOCUMENT + 1)
        for kind in (MANIFEST, INDEX):
            try:
                decode_manifest(data, kind, str(digest))
            except BuildError:
                continue
            return [Descriptor(kind, digest, size)]
        return []

    def _images(self, entry: Descriptor, depth: int) -> Iterator[Descriptor]:
        if oci_type(entry.media_type) == INDEX:
            if depth == _DEEPEST:
                raise BuildError("bad-document", f"{self.name} has indexes more than {_DEEPEST} deep")
            found = self.manifest(entry)
            assert isinstance(found, IndexRecord)
            for inner in found.manifests:
                if not is_attestation(inner):
                    yield from self._images(inner, depth + 1)
        elif oci_type(entry.media_type) == MANIFEST:
            yield entry

    def entry(self, digest: Digest) -> Descriptor | None:
        """The descriptor of a manifest or index, in the index or not; None if it is not there."""
        named = [entry for entry in self.index().manifests if entry.digest == digest]
        return next(iter(named or self._by_digest(digest)), None)

    def platform_of(self, image: Descriptor) -> Platform:
        """The platform of an image's manifest, as its descriptor says or else its config."""
        if (said := image.platform) is not None:
            return Platform(said.os, said.architecture, said.variant)
        manifest = self.manifest(image)
        assert isinstance(manifest, Manifest)
        config = self.config(manifest)
        return Platform(config.os, config.architecture, config.variant)

    # ------------------------------------------------------------ blobs

    def read(self, descriptor: Descriptor) -> bytes:
        """A document blob, verified; BuildError `missing-blob`, `corrupt-blob`, `bad-document`."""
        if descriptor.size > LARGEST_DOCUMENT:
            raise BuildError(
                "bad-document", f"{descriptor.digest} of {self.name} has {descriptor.size} bytes"
            )
        file, _ = self.open(descriptor.digest)
        with file:
            data = file.read(descriptor.size + 1)
        if len(data) != descriptor.size or sha256(data) != descriptor.digest:
            raise _corrupt(self.name, descriptor.digest)
        return data

    def open(self, digest: Digest) -> tuple[BinaryIO, int]:
        """A blob, not verified, and its size in bytes; BuildError `missing-blob`."""
        try:
            return self.files.open(_blob_path(parse_digest(digest)))
        except OSError as exc:
            raise BuildError(
                "missing-blob", f"{self.name} has no blob {digest}", hint="copy the image anew", exit_status=1
            ) from exc

    def _file(self, path: str) -> bytes:
        try:
            file, _ = self.files.open(path)
        except OSError as exc:
            raise BuildError("bad-layout", f"{self.name} is not an OCI image layout: no {path}") from exc
        with file:
            return file.read(LARGEST_DOCUMENT + 1)


def open_layout(path: str, name: str = "") -> Layout:
    """The layout at `path`, a folder or a tar archive, also one of `docker save`; BuildError `bad-layout`.

    `name` is what it is called in front of people, where that is not its path.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as exc:
        raise BuildError("bad-layout", f"there is no image layout at {path}: {exc.strerror}") from exc
    if stat.S_ISDIR(mode):
        return Layout(FolderFiles(path))
    if not stat.S_ISREG(mode):
        raise BuildError("bad-layout", f"{path} is neither a folder nor an archive")
    from buildtool.oci.archive import ArchiveFiles

    files = ArchiveFiles(path, name)
    if "index.json" in files or "manifest.json" not in files:
        return Layout(files)
    from buildtool.oci.dockerarchive import DockerArchiveFiles

    return Layout(DockerArchiveFiles(files))


def copy_blob(layout: Layout, digest: Digest, blobs: Blobs, advance: Advance) -> None:
    """Bring a blob of a layout into a store; `advance` hears bytes done and bytes in all.

    BuildError `missing-blob` or `corrupt-blob`, naming layout and digest; nothing
    wrong is ever kept.
    """
    file, size = layout.open(digest)
    with file:
        try:
            with blobs.writer(digest) as out:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
                    advance(out.size, size)
        except BuildError as exc:
            if exc.code != "digest-mismatch":
                raise
            raise _corrupt(layout.name, digest) from exc
        except OSError as exc:
            raise BuildError(
                "corrupt-blob",
                f"blob {digest} of {layout.name} cannot be read: {exc.strerror}",
                exit_status=1,
            ) from exc


def _corrupt(name: str, digest: str) -> BuildError:
    return BuildError(
        "corrupt-blob",
        f"blob {digest} of {name} is corrupt: its bytes have another digest or size",
        hint="copy the image anew",
        exit_status=1,
    )


def _blob_path(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _ref_name(entry: Descriptor) -> str:
    return (entry.annotations or {}).get(REF_NAME, "")


def _tag(entry: Descriptor) -> str:
    return _ref_name(entry).rpartition(":")[2]


def full_name(entry: Descriptor) -> str:
    """The whole name that an entry of an index goes by, else its reference name, else nothing."""
    return (entry.annotations or {}).get(IMAGE_NAME) or _ref_name(entry)


def is_attestation(entry: Descriptor) -> bool:
    """Whether it stands beside an image: what buildx makes of provenance, or a referrer."""
    return bool(entry.artifact_type) or (entry.platform is not None and entry.platform.os == "unknown")
