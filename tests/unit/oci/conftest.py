"""Tiny images, made with Python's own tar and gzip, so that what reads them is not tested with itself."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from buildtool.digest import Digest, sha256
from buildtool.graph.model import Platform
from buildtool.oci.model import LAYER_GZIP, MANIFEST
from buildtool.store import Store

LINUX = Platform("linux", "amd64")


@dataclass(frozen=True)
class TinyLayer:
    diff_id: Digest
    digest: Digest
    size: int
    media_type: str
    data: bytes


def tiny_layer(files: dict[str, bytes]) -> TinyLayer:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            tar.addfile(info, io.BytesIO(files[name]))
    raw = buffer.getvalue()
    data = gzip.compress(raw, mtime=0)
    return TinyLayer(sha256(raw), sha256(data), len(data), LAYER_GZIP, data)


class LayoutFolder:
    """A layout that is written by hand, right or wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.entries: list[dict[str, Any]] = []
        self.index()

    def blob(self, data: bytes | dict[str, Any]) -> tuple[Digest, int]:
        if isinstance(data, dict):
            data = json.dumps(data).encode()
        name = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / name).write_bytes(data)
        return Digest(f"sha256:{name}"), len(data)

    def at(self, digest: str) -> Path:
        return self.path / "blobs/sha256" / digest[7:]

    def index(self) -> None:
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))

    def name(self, digest: str, size: int, tag: str = "", kind: str = MANIFEST, **more: Any) -> None:
        notes = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
        self.entries.append({"mediaType": kind, "digest": digest, "size": size, **notes, **more})
        self.index()

    def image(
        self,
        tag: str = "",
        layers: tuple[TinyLayer, ...] = (),
        platform: Platform = LINUX,
        listed: bool = True,
        **config: Any,
    ) -> tuple[Digest, int]:
        """An image; `listed` in the index.  More arguments are members of the config document."""
        document = {
            "architecture": platform.architecture,
            "os": platform.os,
            **({"variant": platform.variant} if platform.variant else {}),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            **config,
        }
        digest, size = self.blob(document)
        for layer in layers:
            self.blob(layer.data)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest,
                "size": size,
            },
            "layers": [
                {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                for layer in layers
            ],
        }
        found = self.blob(manifest)
        if listed:
            self.name(*found, tag)
        return found


@pytest.fixture
def folder(tmp_path: Path) -> LayoutFolder:
    return LayoutFolder(tmp_path / "layout")


@pytest.fixture
def hello() -> TinyLayer:
    return tiny_layer({"hello": b"hello\n"})


@pytest.fixture
def world() -> TinyLayer:
    return tiny_layer({"etc/world": b"world\n" * 5000})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(os.fspath(tmp_path / "store")) as opened:
        yield opened
