"""Small images made by hand: layers with the standard library's tarfile, layouts around them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildtool.graph.model import Platform
from buildtool.oci.layout import open_layout
from buildtool.verify.compare import compare
from buildtool.verify.model import Comparison, Difference, World
from buildtool.verify.subject import Image, of_layout

LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class File:
    """An entry: a file unless `type` says otherwise."""

    data: bytes = b""
    mode: int = 0o644
    mtime: float = 1_000_000_000
    uid: int = 0
    gid: int = 0
    type: bytes = tarfile.REGTYPE
    link: str = ""
    uname: str = ""
    records: Mapping[str, str] = field(default_factory=dict)


def tar(
    files: Mapping[str, File | bytes] | Sequence[tuple[str, File | bytes]], form: int = tarfile.PAX_FORMAT
) -> bytes:
    """A tar archive of these entries, in their order."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as archive:
        for name, what in files.items() if isinstance(files, Mapping) else files:
            file = File(what) if isinstance(what, bytes) else what
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(file.data), file.mode, file.mtime
            member.uid, member.gid, member.uname = file.uid, file.gid, file.uname
            member.type, member.linkname, member.pax_headers = file.type, file.link, dict(file.records)
            archive.addfile(member, io.BytesIO(file.data))
    return sink.getvalue()


def layout(
    folder: Path,
    layers: Iterable[bytes],
    *,
    created: str = "2026-08-01T12:00:00Z",
    steps: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    media: str = LAYER + "+gzip",
) -> Path:
    """An image layout in a new folder, with one image; layers are compressed where their type says so."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, kind: str) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(data)}

    plain = list(layers)
    packed = [gzip.compress(data, 6, mtime=0) if media.endswith("gzip") else data for data in plain]
    texts = list(steps) or [f"RUN step {n} # buildkit" for n in range(1, len(plain) + 1)]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Env": ["PATH=/bin"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(d).hexdigest() for d in plain]},
        "history": [{"created": created, "created_by": text} for text in texts],
    }
    kind = "application/vnd.oci.image.{}.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind.format("manifest"),
        "config": put(json.dumps(document).encode(), kind.format("config")),
        "layers": [put(data, media) for data in packed],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    index = {
        "schemaVersion": 2,
        "mediaType": kind.format("index"),
        "manifests": [put(json.dumps(manifest).encode(), kind.format("manifest"))],
    }
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def image(folder: Path) -> Image:
    """The only image of a layout."""
    opened = open_layout(str(folder))
    return of_layout(opened, opened.resolve("", None, Platform("linux", "amd64")), folder.name)


def compared(one: Path, two: Path, worlds: tuple[World, World] = (World(), World())) -> Comparison:
    """The only images of two layouts, compared."""
    return compare(image(one), image(two), worlds)


def causes(found: Difference) -> list[str]:
    """The names of what caused a difference, the surest first."""
    return [f.cause for f in found.causes()]
