"""The tar writer: golden bytes, what PAX is used for, and what other tools read."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.layers.compression import TAR_MEDIA_TYPE, compression
from buildtool.layers.entry import Content, Entry, FileContent, FileSlice, Kind, hardlink, normalise, whiteout
from buildtool.layers.tar import WrittenLayer, header, write_layer
from tests.support.layers import EPOCH, file, folder, written


def every_kind() -> list[tuple[Entry, Content]]:
    first = file(b"bin/tool", b"#!/bin/sh\n", mode=0o4755)
    long = b"deep/" + b"x" * 96
    device = Entry(b"dev/null", Kind.CHAR, 0o666, 0, 0, EPOCH, major=1, minor=3)
    disk = Entry(b"dev/sda", Kind.BLOCK, 0o660, 0, 6, EPOCH, major=8, minor=0)
    capability = (b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    return [
        folder(b"", mode=0o700),
        (whiteout(b"gone"), None),
        folder(b"bin"),
        (Entry(b"bin/link", Kind.SYMLINK, 0o777, 0, 0, EPOCH, linkname=b"../\xc3\xa9tc"), None),
        file(b"bin/ping", b"\x7fELF", xattrs=(capability,)),
        first,
        (hardlink(first[0], b"bin/tool2"), None),
        folder(b"deep"),
        file(long, b"a name of 101 bytes"),
        folder(b"dev", uid=2097152, gid=4294967294),
        (device, None),
        (Entry(b"dev/pipe", Kind.FIFO, 0o600, 1000, 1000, EPOCH), None),
        (disk, None),
        folder(b"z"),
        (Entry(b"z", Kind.OPAQUE, 0, 0, 0, 0), None),
        file(b"z/late", mtime=8589934592),
        file(b"z/\xc3\xa9", b"not ASCII"),
        file(b"z/\xff", b"not UTF-8"),
    ]


def test_every_kind_has_the_golden_bytes(golden):
    data, layer = written(every_kind())
    golden("layers/every-kind.tar", data)
    assert len(data) == layer.size
    assert layer.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_smallest_layer_is_two_blocks_of_zeros():
    data, layer = written([])
    assert data == bytes(1024)
    assert layer == WrittenLayer(layer.diff_id, 1024, None, None)


def test_the_short_way_and_the_general_way_make_the_same_header():
    for entry, content in every_kind():
        if entry.kind is Kind.FILE:
            data, _ = written([folder(entry.path.rpartition(b"/")[0]), (entry, content)])
            assert header(entry) in data


def members_of(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


@pytest.mark.parametrize("length", [1, 99, 100, 101, 255, 4000])
def test_python_reads_names_and_targets_of_any_length(length):
    name = b"n" * length
    entries = [
        (Entry(name, Kind.SYMLINK, 0o777, 0, 0, EPOCH, linkname=b"t" * length), None),
    ]
    data, _ = written(entries)
    (member,) = members_of(data)
    assert (member.name, member.linkname) == (name.decode(), "t" * length)
    assert (b"././@PaxHeader" in data) is (length > 100)


def test_python_reads_back_what_was_written():
    data, _ = written(every_kind())
    members = {m.name: m for m in members_of(data)}
    assert members["bin/tool"].mode == 0o4755
    assert members["bin/tool2"].linkname == "bin/tool"
    assert members["bin/link"].linkname == "../étc"
    assert (members["dev"].uid, members["dev"].gid) == (2097152, 4294967294)
    assert (members["dev/sda"].devmajor, members["dev/sda"].type) == (8, tarfile.BLKTYPE)
    assert members["z/late"].mtime == 8589934592
    assert members["deep/" + "x" * 96].size == 19
    assert ".wh.gone" in members
    assert "z/.wh..wh..opq" in members
    assert all(m.uname == m.gname == "" for m in members.values())


def test_a_file_of_more_than_eight_gigabytes_has_its_size_in_pax():
    blocks = header(Entry(b"big", Kind.FILE, 0o644, 0, 0, EPOCH, 1 << 33))
    assert b"19 size=8589934592\n" in blocks
    assert len(blocks) == 3 * 512
    assert tarfile.TarInfo.frombuf(blocks[1024:], "utf-8", "strict").size == 0


def test_pax_lengths_count_their_own_digits():
    # 9 + 1 digits and 99 + 1 digits are where the length of the length changes.
    for size in [*range(80, 120), *range(960, 1010)]:
        blocks = header(Entry(b"l", Kind.SYMLINK, 0o777, 0, 0, 0, linkname=b"\xc3\xa9" + b"x" * size))
        record = blocks[512:].partition(b"\n")[0] + b"\n"
        assert int(record.split(b" ")[0]) == len(record)


@pytest.mark.parametrize(
    "entries",
    [
        [file(b"b"), file(b"a")],
        [file(b"a"), file(b"a")],
        [file(b"a/b")],
        [file(b"a"), file(b"a/b")],
        [folder(b"a"), file(b"a/b"), file(b"a-b")],
        [file(b"a"), folder(b"")],
    ],
    ids=["order", "twice", "no-parent", "file-as-parent", "order-of-bytes", "root-late"],
)
def test_entries_out_of_order_are_refused(entries):
    with pytest.raises(ValueError):
        written(entries)


@pytest.mark.parametrize("path", [b".wh.a", b"d/.wh.x", b"d/.wh..wh..opq"])
def test_a_name_that_would_be_a_whiteout_is_refused(path):
    with pytest.raises(BuildError) as caught:
        written([folder(b"d"), file(path)][path.startswith(b".wh") :])
    assert caught.value.code == "reserved-name"


@pytest.mark.parametrize("said", [0, 4, 6, 300_000])
def test_a_file_that_has_not_the_size_it_had_stops_the_layer(tmp_path, said):
    (tmp_path / "f").write_bytes(b"12345")
    content = FileContent(os.fsencode(tmp_path / "f"), None, said)
    with pytest.raises(BuildError) as caught:
        written([(Entry(b"f", Kind.FILE, 0o644, 0, 0, 0, said), content)])
    assert caught.value.code == "file-changed"


def test_a_large_file_that_grew_stops_the_layer(tmp_path):
    (tmp_path / "f").write_bytes(bytes(400_001))
    content = FileContent(os.fsencode(tmp_path / "f"), None, 400_000)
    with pytest.raises(BuildError) as caught:
        written([(Entry(b"f", Kind.FILE, 0o644, 0, 0, 0, 400_000), content)], "gzip")
    assert caught.value.code == "file-changed"


@pytest.mark.parametrize("kind", ["link", "gone", "pipe"])
def test_a_file_that_became_something_else_stops_the_layer(tmp_path, kind):
    path = tmp_path / "f"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(BuildError) as caught:
        written([(Entry(b"f", Kind.FILE, 0o644, 0, 0, 0, 1), FileContent(str(path), None, 1))])
    assert caught.value.code == "file-changed"


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, (1 << 18) + 1, (1 << 20) - 512, 3_000_001])
def test_bytes_files_and_slices_give_the_same_layer(tmp_path, size):
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    (tmp_path / "f").write_bytes(data)
    (tmp_path / "s").write_bytes(b"before" + data + b"after")
    entry = Entry(b"f", Kind.FILE, 0o644, 0, 0, EPOCH, size)
    fd = os.open(tmp_path, os.O_RDONLY)
    contents: list[Content] = [
        data,
        FileContent(str(tmp_path / "f"), None, size),
        FileContent(b"f", fd, size),
        FileSlice(str(tmp_path / "s"), 6, size),
    ]
    layers = {written([(entry, content)], "gzip") for content in contents}
    os.close(fd)
    assert len(layers) == 1


def test_progress_adds_up_to_the_size():
    seen: list[int] = []
    layer = write_layer([file(b"f", bytes(3 << 20))], advance=seen.append)
    assert sum(seen) == layer.size
    assert len(seen) == 4


def test_normalise_drops_what_is_not_of_the_image():
    xattrs = ((b"user.note", b"x"), (b"security.selinux", b"y"), (b"security.capability", b"z"))
    entry = normalise(b"f", 0o100755, 1, 2, -5, size=3, rdev=7, linkname=b"q", xattrs=xattrs)
    assert entry == Entry(b"f", Kind.FILE, 0o755, 1, 2, 0, 3, xattrs=((b"security.capability", b"z"),))
    assert normalise(b"l", 0o120600, 0, 0, 0, linkname=b"t").mode == 0o777
    with pytest.raises(BuildError):
        normalise(b"s", 0o140777, 0, 0, 0)


# ---------------------------------------------------------------- other readers


def layout_of(at: Path, data: bytes, media_type: str) -> Path:
    """An OCI layout with one image of one layer, written by hand."""
    blobs = at / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(blob: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(blob).hexdigest()
        (blobs / digest).write_bytes(blob)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(blob)}

    raw = data
    if media_type.endswith("+gzip"):
        import gzip

        raw = gzip.decompress(data)
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(raw).hexdigest()]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(data, media_type)],
    }
    descriptor = put(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "test"}
    (at / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (at / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return at


@pytest.mark.root
@pytest.mark.parametrize("name", [None, "gzip"])
def test_umoci_unpacks_it(tmp_path, name):
    if shutil.which("umoci") is None or os.geteuid() != 0:
        pytest.skip("needs umoci and root")
    entries = [e for e in every_kind() if b"\xff" not in e[0].path and e[0].path != b"dev"]
    entries = [e for e in entries if e[0].kind is not Kind.OPAQUE and e[0].mtime <= EPOCH]
    entries = sorted([*entries, folder(b"dev")], key=lambda e: (e[0].path != b"gone", e[0].path))
    entries.insert(0, entries.pop(1))
    data, _ = written(entries, name)
    layout = layout_of(tmp_path / "oci", data, compression(name).media_type if name else TAR_MEDIA_TYPE)
    bundle = tmp_path / "bundle"
    command = ["umoci", "unpack", "--image", f"{layout}:test", str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    root = bundle / "rootfs"
    assert (root / "bin/tool").stat().st_ino == (root / "bin/tool2").stat().st_ino
    assert os.readlink(root / "bin/link") == "../étc"
    assert (root / "z/é").read_text() == "not ASCII"
    assert (root / ("deep/" + "x" * 96)).stat().st_mtime == EPOCH
    assert os.getxattr(root / "bin/ping", "security.capability").hex().startswith("01000002")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_skopeo_copies_it_and_finds_the_same_digest(tmp_path, name):
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo")
    data, _ = written(every_kind(), "gzip")
    layout = layout_of(tmp_path / "oci", data, compression("gzip").media_type)
    command = ["skopeo", "copy", "--insecure-policy", f"oci:{layout}:test", f"oci:{tmp_path / 'copy'}:test"]
    command += ["--dest-compress-format", name] if name == "zstd" else []
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_gnu_tar_lists_it():
    if shutil.which("tar") is None:
        pytest.skip("needs tar")
    data, _ = written(every_kind())
    command = ["tar", "--numeric-owner", "--quoting-style=literal", "-tf", "-"]
    done = subprocess.run(command, input=data, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()
    assert names[0] == b"./"
    assert b"z/\xff" in names
    assert done.stderr == b""
