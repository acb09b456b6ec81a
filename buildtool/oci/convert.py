"""Conversion between image documents and the images of the graph, both ways."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest, sha256
from buildtool.graph.model import Healthcheck, History, Image, ImageConfig, Platform
from buildtool.oci.model import (
    CONFIG,
    INDEX,
    MANIFEST,
    ConfigRecord,
    Descriptor,
    Execution,
    HealthcheckRecord,
    HistoryRecord,
    IndexRecord,
    Manifest,
    PlatformRecord,
    RootFs,
    encode,
)


class Layer(Protocol):
    """A layer as a manifest and a config describe it; `size` in bytes of the blob."""

    @property
    def digest(self) -> Digest: ...
    @property
    def diff_id(self) -> Digest: ...
    @property
    def size(self) -> int: ...
    @property
    def media_type(self) -> str: ...


class Described(Protocol):
    """A finished image as an index describes it; `manifest_size` in bytes."""

    @property
    def manifest(self) -> Digest: ...
    @property
    def manifest_size(self) -> int: ...
    @property
    def platform(self) -> Platform: ...


# ---------------------------------------------------------------- documents of an image


def assemble(image: Image, layers: Sequence[Layer]) -> tuple[bytes, bytes]:
    """The manifest and the config of an image whose root filesystem became `layers`, bottom first.

    Our own history entries get the image's `created`; those of a base keep theirs.
    BuildError `not-unicode`, `bad-epoch`; ValueError if the history describes
    another number of layers, which no stage can bring about.
    """
    filled = sum(not entry.empty_layer for entry in image.history)
    if filled != len(layers):
        raise ValueError(f"a history of {filled} layers for {len(layers)} layers")
    created = rfc3339(image.created)
    config = encode(
        ConfigRecord(
            architecture=image.platform.architecture,
            os=image.platform.os,
            variant=image.platform.variant,
            created=created,
            author=image.author,
            config=_execution(image.config),
            rootfs=RootFs("layers", tuple(layer.diff_id for layer in layers)),
            history=tuple(_history_record(entry, created) for entry in image.history) or None,
        )
    )
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=Descriptor(CONFIG, sha256(config), len(config)),
        layers=tuple(Descriptor(layer.media_type, layer.digest, layer.size) for layer in layers),
        annotations=dict(image.annotations) or None,
    )
    return encode(manifest), config


def assemble_index(images: Sequence[Described], annotations: Sequence[tuple[str, str]] = ()) -> bytes:
    """The index of finished images, in the order of their platforms' names."""
    ordered = sorted(images, key=lambda image: str(image.platform))
    return encode(
        IndexRecord(
            schema_version=2,
            media_type=INDEX,
            manifests=tuple(
                Descriptor(
                    MANIFEST, image.manifest, image.manifest_size, platform=platform_record(image.platform)
                )
                for image in ordered
            ),
            annotations=dict(annotations) or None,
        )
    )


def platform_record(platform: Platform) -> PlatformRecord:
    """A platform as documents write it."""
    return PlatformRecord(platform.architecture, platform.os, platform.variant)


def rfc3339(seconds: int) -> str:
    """An instant (seconds since 1970, UTC) as RFC 3339 writes it; BuildError `bad-epoch` out of its range."""
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError, OSError) as exc:
        raise BuildError("bad-epoch", f"{seconds} is not an instant of the years 1 to 9999") from exc


def _execution(config: ImageConfig) -> Execution:
    """Docker's form; what is empty is left out, as its encoder does."""
    return Execution(
        user=config.user,
        exposed_ports={port: {} for port in config.exposed_ports} or None,
        env=tuple(f"{name}={value}" for name, value in config.env) or None,
        entrypoint=config.entrypoint or None,
        cmd=config.cmd or None,
        volumes={path: {} for path in config.volumes} or None,
        working_dir=config.working_dir,
        labels=dict(config.labels) or None,
        stop_signal=config.stop_signal,
        shell=config.shell or None,
        healthcheck=_healthcheck_record(config.healthcheck),
        on_build=config.on_build or None,
        args_escaped=config.args_escaped,
    )


def _healthcheck_record(check: Healthcheck | None) -> HealthcheckRecord | None:
    if check is None:
        return None
    return HealthcheckRecord(
        test=check.test or None,
        interval=check.interval,
        timeout=check.timeout,
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries,
    )


def _history_record(entry: History, created: str) -> HistoryRecord:
    # A base's entry without a time has the empty text: it stays without one.
    when = created if entry.created is None else entry.created or None
    return HistoryRecord(when, entry.created_by, entry.author, entry.comment, entry.empty_layer)


# ---------------------------------------------------------------- a base image


def config_of(doc: ConfigRecord) -> tuple[ImageConfig, tuple[History, ...], Platform, str]:
    """What a base image's config document means: config, history, platform, author.

    The history always describes as many layers as there are: entries are added for
    layers without one, and a history of more layers than there are is not believed.
    """
    found = doc.config or Execution()
    config = ImageConfig(
        env=tuple(_pair(item) for item in found.env or ()),
        entrypoint=_words(found.entrypoint),
        cmd=_words(found.cmd),
        working_dir=found.working_dir,
        user=found.user,
        labels=_sorted_items(found.labels),
        exposed_ports=_sorted_names(found.exposed_ports),
        volumes=_sorted_names(found.volumes),
        stop_signal=found.stop_signal,
        shell=found.shell or None,
        healthcheck=_healthcheck(found.healthcheck),
        on_build=found.on_build or (),
        args_escaped=found.args_escaped,
    )
    history = _history(doc.history or (), len(doc.rootfs.diff_ids or ()))
    return config, history, Platform(doc.os, doc.architecture, doc.variant), doc.author


def diff_ids_of(doc: ConfigRecord) -> tuple[Digest, ...]:
    """The diff ids of a config document, checked; BuildError `bad-digest`, `bad-document`."""
    if doc.rootfs.type != "layers":
        raise BuildError("bad-document", f"a root filesystem of type {doc.rootfs.type[:40]!r} is not known")
    return tuple(parse_digest(diff_id) for diff_id in doc.rootfs.diff_ids or ())


def seconds_of(created: str | None) -> int:
    """The instant of an RFC 3339 text in whole seconds; 0 for none and for other texts."""
    try:
        found = datetime.fromisoformat(created or "")
        # Without a zone the machine's own would be taken.
        return max(0, int(found.replace(tzinfo=found.tzinfo or UTC).timestamp()))
    except (ValueError, OverflowError):
        return 0


def _history(records: Sequence[HistoryRecord], layers: int) -> tuple[History, ...]:
    filled = sum(not record.empty_layer for record in records)
    if filled > layers:
        records, filled = (), 0
    known = tuple(
        History(
            created_by=record.created_by,
            empty_layer=record.empty_layer,
            comment=record.comment,
            author=record.author,
            created=record.created or "",
        )
        for record in records
    )
    unknown = History(created_by="", comment="a layer of the base image without history", created="")
    return known + (unknown,) * (layers - filled)


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def _words(value: tuple[str, ...] | str | None) -> tuple[str, ...] | None:
    """Docker reads a text where it writes a list."""
    if isinstance(value, str):
        return (value,) if value else None
    return value or None


def _sorted_items(value: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((value or {}).items()))


def _sorted_names(value: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(sorted(value or {}))


def _healthcheck(record: HealthcheckRecord | None) -> Healthcheck | None:
    if record is None:
        return None
    return Healthcheck(
        test=record.test or (),
        interval=record.interval,
        timeout=record.timeout,
        start_period=record.start_period,
        start_interval=record.start_interval,
        retries=record.retries,
    )
