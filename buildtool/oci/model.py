"""The documents of the OCI image-spec as records, their strict reading and their one way of writing.

Reading ignores fields that are not known here, as the specification asks, takes
`null` for what Docker writes so, refuses documents that could be taken for two
kinds at once, and is bounded by `LARGEST_DOCUMENT`.

Writing is canonical: one line, no white space, object members in the bytewise
order of their names, members with default values left out, text in UTF-8 with
only what JSON demands escaped.  The same record always has the same bytes.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest

#: Bytes of the largest document that is read; registries refuse manifests above 4 MiB too.
LARGEST_DOCUMENT = 4 << 20

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

#: Docker's names for the same bytes.
DOCKER_TYPES = {
    "application/vnd.docker.distribution.manifest.v2+json": MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json": INDEX,
    "application/vnd.docker.container.image.v1+json": CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER_ZSTD,
}

REF_NAME = "org.opencontainers.image.ref.name"
#: Where buildx and containerd put the whole name of an image.
IMAGE_NAME = "io.containerd.image.name"

_Size = Annotated[int, Meta(ge=0, le=1 << 60)]
_Annotations = dict[str, str] | None


class PlatformRecord(Struct, frozen=True, omit_defaults=True):
    """image-spec, "Image Index", `platform`."""

    architecture: str
    os: str
    variant: str = ""


class Descriptor(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """image-spec, "OCI Content Descriptors"; `size` in bytes."""

    media_type: str
    digest: Digest
    size: _Size
    annotations: _Annotations = None
    platform: PlatformRecord | None = None
    artifact_type: str = ""


class Manifest(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """image-spec, "OCI Image Manifest"; one with a `subject` is a referrer, which tells of that."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""
    annotations: _Annotations = None
    artifact_type: str = ""
    subject: Descriptor | None = None


class IndexRecord(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """image-spec, "OCI Image Index"."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str = ""
    annotations: _Annotations = None


class HealthcheckRecord(Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """`Healthcheck` of Docker's image config; durations in nanoseconds."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Execution(Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """image-spec, "Image Configuration", `config`, with the fields that Docker adds."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | str | None = None
    cmd: tuple[str, ...] | str | None = None
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None
    healthcheck: HealthcheckRecord | None = None
    on_build: tuple[str, ...] | None = None
    args_escaped: bool = False


class RootFs(Struct, frozen=True):
    """image-spec, "Image Configuration", `rootfs`; diff ids from the bottom up."""

    type: str
    diff_ids: tuple[Digest, ...] | None = ()


class HistoryRecord(Struct, frozen=True, omit_defaults=True):
    """image-spec, "Image Configuration", `history`."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ConfigRecord(Struct, frozen=True, omit_defaults=True):
    """image-spec, "Image Configuration"."""

    architecture: str
    os: str
    rootfs: RootFs
    variant: str = ""
    created: str | None = None
    author: str = ""
    config: Execution | None = None
    history: tuple[HistoryRecord, ...] | None = None


class LayoutRecord(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """image-spec, "Image Layout", the `oci-layout` file."""

    image_layout_version: str


class _Shape(Struct, rename="camel"):
    media_type: str = ""
    config: msgspec.Raw | msgspec.UnsetType = field(default=msgspec.UNSET)
    layers: msgspec.Raw | msgspec.UnsetType = field(default=msgspec.UNSET)
    manifests: msgspec.Raw | msgspec.UnsetType = field(default=msgspec.UNSET)


_Record = TypeVar("_Record", bound=Struct)


def encode(record: Struct) -> bytes:
    """The bytes of a document; BuildError `not-unicode` for text that UTF-8 cannot hold."""
    try:
        return msgspec.json.encode(record, order="sorted")
    except UnicodeEncodeError as exc:
        raise BuildError(
            "not-unicode", f"{exc.object[:100]!r} cannot be written into an image's documents"
        ) from exc


def decode(data: bytes, kind: type[_Record], name: str) -> _Record:
    """A document as a record; BuildError `bad-document`, which calls the document `name`."""
    if len(data) > LARGEST_DOCUMENT:
        raise BuildError("bad-document", f"{name} has {len(data)} bytes, more than {LARGEST_DOCUMENT}")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise BuildError("bad-document", f"{name} is not what it should be: {exc}") from exc


def decode_manifest(data: bytes, media_type: str, name: str) -> Manifest | IndexRecord:
    """A manifest or an index, whichever both its descriptor and the document say that it is.

    BuildError `ambiguous-manifest` when they disagree, or the document has the parts
    of both (image-spec, "mediaType"; CVE-2021-41190), and `bad-document`.
    """
    shape = decode(data, _Shape, name)
    says = oci_type(shape.media_type or media_type)
    is_index = shape.manifests is not msgspec.UNSET
    is_manifest = shape.layers is not msgspec.UNSET or shape.config is not msgspec.UNSET
    if (is_index and is_manifest) or says != oci_type(media_type) or (says == INDEX) != is_index:
        raise BuildError(
            "ambiguous-manifest", f"{name} could be taken for more than one kind of document, so it is none"
        )
    found = decode(data, IndexRecord, name) if is_index else decode(data, Manifest, name)
    if found.schema_version != 2:
        raise BuildError("bad-document", f"{name} has schema version {found.schema_version}; 2 is known")
    linked = found.manifests if isinstance(found, IndexRecord) else (found.config, *found.layers)
    for descriptor in linked:
        parse_digest(descriptor.digest)
    return found


def oci_type(media_type: str) -> str:
    """OCI's media type for what Docker calls otherwise; any other as it is."""
    return DOCKER_TYPES.get(media_type, media_type)
