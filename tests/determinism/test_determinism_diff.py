"""The difference of two images is told where it is: a suite that only said "differs" would help nobody."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.support.determinism_diff import image_difference


def _tar(*files: tuple[str, bytes, int, int]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data, mode, mtime in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, mtime
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def _put(layout: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return f"sha256:{name}"


def _image(layout: Path, *layers: bytes, env: str = "A=1") -> str:
    config = {
        "config": {"Env": [env]},
        "rootfs": {"diff_ids": [hashlib.sha256(x).hexdigest() for x in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": _put(layout, json.dumps(config).encode())},
        "layers": [{"digest": _put(layout, layer), "size": len(layer)} for layer in layers],
    }
    return _put(layout, json.dumps(manifest).encode())


def _told(tmp_path: Path, first: bytes, second: bytes) -> list[str]:
    one, two = _image(tmp_path, first), _image(tmp_path, second)
    return [row for row in image_difference(tmp_path, one, tmp_path, two) if row.startswith("layer")]


def test_equal_images_have_no_difference(tmp_path: Path) -> None:
    image = _image(tmp_path, _tar(("a", b"1", 0o644, 5)))
    assert image_difference(tmp_path, image, tmp_path, image) == []


def test_fields_and_contents_are_told_by_path(tmp_path: Path) -> None:
    first = _tar(("a", b"1", 0o644, 5), ("b", b"x" * 200 + b"12:00", 0o644, 5), ("c", b"", 0o644, 5))
    second = _tar(("a", b"1", 0o600, 6), ("b", b"x" * 200 + b"12:34", 0o644, 5), ("d", b"", 0o644, 5))
    assert _told(tmp_path, first, second) == [
        "layer 1: 'a': mode: '0o644' is '0o600' in the second",
        "layer 1: 'a': mtime: 5 is 6 in the second",
        f"layer 1: 'b': content: from byte 203, {b'x' * 45 + b'12:00'!r} is {b'x' * 45 + b'12:34'!r} "
        "in the second",
        "layer 1: 'c': only in the first image",
        "layer 1: 'd': only in the second image",
    ]


def test_order_padding_and_compression_are_told_apart(tmp_path: Path) -> None:
    one, two = ("a", b"", 0o644, 5), ("b", b"", 0o644, 5)
    plain = _tar(one, two)
    swapped = "layer 1: the order of entries differs: 'a' stands where the second has 'b'"
    assert _told(tmp_path, plain, _tar(two, one)) == [swapped]
    (row,) = _told(tmp_path, plain, plain + bytes(512))
    assert row == f"layer 1: all entries are equal, the archives differ from byte {len(plain)}"
    packed = [gzip.compress(plain, level, mtime=0) for level in (1, 9)]
    assert _told(tmp_path, *packed)[0].startswith("layer 1: only the compressed bytes differ, from byte ")


def test_documents_and_missing_layers_are_told(tmp_path: Path) -> None:
    layer = _tar(("a", b"", 0o644, 5))
    one, two = _image(tmp_path, layer), _image(tmp_path, layer, layer, env="A=2")
    told = image_difference(tmp_path, one, tmp_path, two)
    assert 'config: config.Env[0]: "A=1" is "A=2" in the second' in told
    assert "layer 2: only in the second image" in told
