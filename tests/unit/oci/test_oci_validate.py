"""Validation: a sound layout has no problems, and every kind of damage is told."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from buildtool.digest import sha256
from buildtool.graph.model import Platform
from buildtool.oci.layout import open_layout
from buildtool.oci.model import INDEX, LAYER, LAYER_ZSTD, MANIFEST
from buildtool.oci.validate import validate


def problems(folder: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.subject) for problem in validate(open_layout(str(folder.path)))]


def packed(layer: Any, data: bytes, kind: str) -> Any:
    return replace(layer, data=data, digest=sha256(data), size=len(data), media_type=kind)


def test_sound_layouts(folder: Any, hello: Any, world: Any) -> None:
    raw = gzip.decompress(world.data)
    members = b"".join(gzip.compress(raw[n : n + 700], mtime=0) for n in range(0, len(raw), 700))
    frames = zstandard.compress(raw[:5000]) + zstandard.compress(raw[5000:])
    layers = (
        hello,
        packed(world, members, world.media_type),
        packed(world, frames, LAYER_ZSTD),
        packed(world, raw, LAYER),
        packed(world, members, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    )
    folder.image("a", layers, history=[{"empty_layer": True}, *[{}] * 5])
    folder.image("b", (hello,), platform=Platform("linux", "arm", "v7"))
    assert problems(folder) == []


Break = Callable[[Any, Any, str], None]


def wrong_diff_id(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (layer,), rootfs={"type": "layers", "diff_ids": [sha256(b"other")]})


def wrong_count(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (layer,), rootfs={"type": "layers", "diff_ids": [layer.diff_id] * 2})


def wrong_history(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (layer,), history=[{}, {}])


def wrong_size(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (replace(layer, size=layer.size + 1),))


def wrong_type(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (replace(layer, media_type="text/plain"),))


def not_gzip(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (packed(layer, b"not gzip at all", layer.media_type),))


def cut_gzip(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (packed(layer, layer.data[:-4], layer.media_type),))


def not_zstd(folder: Any, layer: Any, digest: str) -> None:
    folder.entries.clear()
    folder.image("b", (packed(layer, layer.data, LAYER_ZSTD),))


def flipped_layer(folder: Any, layer: Any, digest: str) -> None:
    folder.at(layer.digest).write_bytes(b"x" + layer.data[1:])


def flipped_manifest(folder: Any, layer: Any, digest: str) -> None:
    folder.at(digest).write_bytes(b" " + folder.at(digest).read_bytes()[1:])


def missing_layer(folder: Any, layer: Any, digest: str) -> None:
    folder.at(layer.digest).unlink()


def missing_manifest(folder: Any, layer: Any, digest: str) -> None:
    folder.at(digest).unlink()


def stray_file(folder: Any, layer: Any, digest: str) -> None:
    (folder.path / "blobs/sha256/README").write_text("")


def wrong_platform(folder: Any, layer: Any, digest: str) -> None:
    folder.entries[0]["platform"] = {"os": "linux", "architecture": "arm64"}
    folder.index()


def unknown_entry(folder: Any, layer: Any, digest: str) -> None:
    folder.entries[0]["mediaType"] = "text/plain"
    folder.index()


def ambiguous(folder: Any, layer: Any, digest: str) -> None:
    folder.entries[0]["mediaType"] = INDEX
    folder.index()


def unused_and_corrupt(folder: Any, layer: Any, digest: str) -> None:
    folder.at("sha256:" + "0" * 64).write_bytes(b"x")


def cyclic(folder: Any, layer: Any, digest: str) -> None:
    kind, found = MANIFEST, (digest, folder.at(digest).stat().st_size)
    for _ in range(9):
        entry = {"mediaType": kind, "digest": found[0], "size": found[1]}
        kind, found = INDEX, folder.blob({"schemaVersion": 2, "manifests": [entry]})
    folder.name(*found, "deep", INDEX)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (wrong_diff_id, "wrong-diff-id"),
        (wrong_count, "layer-count"),
        (wrong_history, "history-count"),
        (wrong_size, "wrong-size"),
        (wrong_type, "unknown-type"),
        (not_gzip, "wrong-compression"),
        (cut_gzip, "wrong-compression"),
        (not_zstd, "wrong-compression"),
        (flipped_layer, "wrong-digest"),
        (flipped_manifest, "wrong-digest"),
        (missing_layer, "missing-blob"),
        (missing_manifest, "missing-blob"),
        (stray_file, "stray-file"),
        (wrong_platform, "wrong-platform"),
        (unknown_entry, "unknown-type"),
        (ambiguous, "ambiguous-manifest"),
        (unused_and_corrupt, "wrong-digest"),
        (cyclic, "bad-document"),
    ],
)
def test_each_damage_is_told(folder: Any, hello: Any, damage: Break, code: str) -> None:
    digest, _ = folder.image("a", (hello,))
    assert problems(folder) == []
    damage(folder, hello, digest)
    assert [found for found, _ in problems(folder)] == [code]


def test_all_damages_are_told_at_once(folder: Any, hello: Any, world: Any) -> None:
    folder.image("a", (hello, world))
    folder.at(hello.digest).unlink()
    folder.at(world.digest).write_bytes(b"")
    (folder.path / "blobs/sha256/README").write_text("")
    assert sorted(code for code, _ in problems(folder)) == [
        "missing-blob",
        "stray-file",
        "wrong-digest",
        "wrong-size",
    ]


def test_a_broken_index_is_the_only_problem(folder: Any) -> None:
    (folder.path / "index.json").write_text("[]")
    assert problems(folder) == [("bad-document", "index.json")]
