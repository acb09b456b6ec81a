"""Images, documents and layers compared: what differs is told where it is, once, and nothing else is."""

import gzip
import hashlib
import io
import json
import tarfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.verify import streams
from buildtool.verify.compare import compare
from buildtool.verify.model import Comparison, World
from buildtool.verify.subject import of_folder, of_layer
from tests.support.layouts import LAYER, File, causes, compared, image, layout, tar

EARLY, LATE = 1_785_585_601, 1_785_585_824


def places(found: Comparison) -> dict[str, tuple[str, list[str]]]:
    return {d.where: (d.field, causes(d)) for d in found.places()}


def layers(tmp_path: Path, first: bytes, second: bytes) -> dict[str, tuple[str, list[str]]]:
    return places(compared(layout(tmp_path / "a", [first]), layout(tmp_path / "b", [second])))


def test_equal_images_are_the_same_and_no_layer_is_read(tmp_path: Path) -> None:
    one = layout(tmp_path / "a", [tar({"a": b"1"})])
    two = layout(tmp_path / "b", [tar({"a": b"1"})])
    for blob in (two / "blobs" / "sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.unlink()
    assert compared(one, two).same


def test_metadata_is_told_field_by_field(tmp_path: Path) -> None:
    first = {
        "mode": File(b"", mode=0o644), "owner": File(b""), "time": File(b"", mtime=EARLY),
        "kind": File(b""), "link": File(type=tarfile.SYMTYPE, link="tmp.Ab12Cd34"),
        "name": File(b"", uname="ann"),
        "part": File(b"", mtime=EARLY + 0.25), "node": File(type=tarfile.CHRTYPE), "same": File(b"same"),
        "cap": File(b"", records={"SCHILY.xattr.security.capability": "a"}),
        "access": File(b"", records={"atime": "1785585601"}),
    }  # fmt: skip
    second = {
        "mode": File(b"", mode=0o600), "owner": File(b"", uid=1000), "time": File(b"", mtime=LATE),
        "kind": File(type=tarfile.DIRTYPE), "link": File(type=tarfile.SYMTYPE, link="tmp.Xy98Zw76"),
        "name": File(b"", uname="bob"), "part": File(b"", mtime=EARLY + 0.5),
        "node": File(type=tarfile.CHRTYPE, mode=0),
        "same": File(b"same"), "cap": File(b"", records={"SCHILY.xattr.security.capability": "b"}),
        "access": File(b"", records={"atime": "1785585824"}),
    }  # fmt: skip
    found = layers(tmp_path, tar(first), tar(second))
    assert found == {
        "mode": ("mode", ["umask"]),
        "owner": ("owner", ["user"]),
        "time": ("mtime", ["file-time"]),
        "kind": ("type", ["unexplained"]),
        "link": ("target", ["random-identifier"]),
        "name": ("user name", ["user"]),
        "part": ("record mtime", ["file-time"]),
        "node": ("mode", ["umask"]),
        "cap": ("attributes", ["unexplained"]),
        "access": ("record atime", ["file-time"]),
    }


def test_several_fields_of_one_path_are_one_difference(tmp_path: Path) -> None:
    found = layers(tmp_path, tar({"a": File(b"4\n", 0o644, EARLY)}), tar({"a": File(b"16\n", 0o640, LATE)}))
    assert found == {"a": ("mode, mtime, content", ["file-time", "umask", "unexplained"])}


def test_order_headers_and_compression_are_told_apart(tmp_path: Path) -> None:
    one, two = ("a", b"1"), ("b", b"2")
    plain = tar([one, two])
    assert layers(tmp_path / "1", plain, tar([two, one])) == {"": ("order", ["directory-order"])}
    assert layers(tmp_path / "2", plain, plain + bytes(1024)) == {"layer 1": ("content", ["archiver"])}
    assert layers(tmp_path / "3", plain, tar([one, two], tarfile.GNU_FORMAT)) == {
        "a": ("header", ["archiver"])
    }
    packed = [gzip.compress(plain, level, mtime=0) for level in (1, 9)]
    paths = [tmp_path / "one.tgz", tmp_path / "two.tgz"]
    for path, data in zip(paths, packed, strict=True):
        path.write_bytes(data)
    found = compare(of_layer(str(paths[0])), of_layer(str(paths[1])))
    assert places(found) == {"layer 1": ("compression", ["compressor"])}


def test_entries_of_one_side_and_names_at_random(tmp_path: Path) -> None:
    first = tar(
        {
            "only": b"",
            "cache/tmp.Ab12Cd34": b"x",
            "tmp/tmp.Qw12Er34": File(type=tarfile.DIRTYPE),
            "tmp/tmp.Qw12Er34/in": b"",
        }
    )
    second = tar(
        {
            "cache/tmp.Xy98Zw76": b"x",
            "other": b"",
            "tmp/tmp.As12Df34": File(type=tarfile.DIRTYPE),
            "tmp/tmp.As12Df34/in": b"",
        }
    )
    assert layers(tmp_path, first, second) == {
        "only": ("presence", ["unexplained"]),
        "other": ("presence", ["unexplained"]),
        "cache/tmp.Ab12Cd34": ("name", ["random-identifier"]),
        "tmp/tmp.Qw12Er34": ("name", ["random-identifier"]),
        "tmp/tmp.Qw12Er34/in": ("name", ["random-identifier"]),
    }


def test_contents_that_come_apart_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_CHUNK", 64)
    monkeypatch.setattr(streams, "_MOST_WAITING", 100)
    large = b"x" * 500 + b"2026-08-01 12:00:01"
    first = [("z", large), ("a", b"nproc: 4"), ("y", b"same"), ("b", b"same" * 50)]
    second = [("b", b"same" * 50), ("y", b"same"), ("a", b"nproc: 8"), ("z", large[:-1] + b"9")]
    assert layers(tmp_path, tar(first), tar(second)) == {
        "": ("order", ["directory-order"]),
        "a": ("content", ["cpu-count"]),
        "z": ("content", ["embedded-time"]),
    }


def test_of_files_too_large_to_be_held_the_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LARGEST_HELD", 1000)
    monkeypatch.setattr(streams, "_CHUNK", 256)
    first, second = (b"line\n" * 300 + b"pid: %d\n" % pid + b"line\n" * 300 for pid in (17, 42))
    one, two = layout(tmp_path / "a", [tar({"log": first})]), layout(tmp_path / "b", [tar({"log": second})])
    (found,) = compared(one, two).places()
    assert found.causes()[0].evidence.startswith("from byte 1280: ")
    assert causes(found) == ["process-id"]


def test_documents_are_told_member_by_member(tmp_path: Path) -> None:
    same = [tar({"a": b"1"})]
    one = layout(tmp_path / "a", same, config={"Hostname": "alpha", "User": "app"}, annotations={"by": "x"})
    later = "2026-08-01T12:03:44Z"
    two = layout(tmp_path / "b", same, created=later, config={"Hostname": "beta"}, annotations={"by": "y"})
    found = compared(one, two)
    assert [(d.kind, d.where, causes(d)) for d in found.differences] == [
        ("manifest", "annotations.by", ["source"]),
        ("config", "config.Hostname", ["hostname"]),
        ("config", "config.User", ["source"]),
        ("config", "created", ["embedded-time"]),
        ("history", "history 1", ["embedded-time"]),
    ]


def test_a_layer_more_is_told_with_its_step_and_the_others_still_meet(tmp_path: Path) -> None:
    base, more, top = (tar({name: b""}) for name in ("base", "more", "top"))
    steps = ["FROM base", "RUN more # buildkit", "RUN top # buildkit"]
    one = layout(tmp_path / "a", [base, more, top], steps=steps)
    two = layout(tmp_path / "b", [base, top], steps=[steps[0], steps[2]])
    told = [d for d in compared(one, two).differences if d.kind == "layer"]
    assert [(d.where, d.field, d.step.text if d.step else "") for d in told] == [
        ("layer 2", "presence", "RUN more # buildkit")
    ]


def test_changed_packages_explain_their_files(tmp_path: Path) -> None:
    def installed(version: str, binary: bytes) -> bytes:
        status = f"Package: tool\nStatus: ok\nVersion: {version}\n\nPackage: other\nVersion: 1\n\n"
        return tar(
            {
                "usr/bin/other": b"same" if version == "1.0" else b"changed",
                "usr/bin/tool": binary,
                "var/lib/dpkg/info/tool.list": b"/.\n/usr/bin/tool\n",
                "var/lib/dpkg/status": status.encode(),
            }
        )

    found = layers(tmp_path, installed("1.0", b"\x00one"), installed("1.1", b"\x00two three"))
    assert found["usr/bin/tool"] == ("content", ["upstream"])
    assert found["var/lib/dpkg/status"] == ("content", ["upstream"])
    assert found["usr/bin/other"] == ("content", ["unexplained"])


def test_digests_of_files_beside_are_derived(tmp_path: Path) -> None:
    def packed(text: bytes) -> bytes:
        return tar({"nproc": text, "sums": hashlib.md5(text).hexdigest().encode() + b"  nproc\n"})

    assert layers(tmp_path, packed(b"4\n"), packed(b"8\n")) == {
        "nproc": ("content", ["cpu-count"]),
        "sums": ("content", ["derived"]),
    }


def test_a_wheels_record_follows_from_the_scripts_that_it_lists(tmp_path: Path) -> None:
    def installed(place: str) -> bytes:
        script = f"#!{place}/bin/python\nmain()\n".encode()
        digest = urlsafe_b64encode(hashlib.sha256(script).digest()).decode().rstrip("=")
        record = f"../../../bin/app,sha256={digest},{len(script)}\napp.py,sha256=x,3\n"
        return tar({"bin/app": script, "lib/app.dist-info/RECORD": record.encode()})

    assert layers(tmp_path, installed("/work/ann"), installed("/work/robert")) == {
        "bin/app": ("content", ["build-path"]),
        "lib/app.dist-info/RECORD": ("content", ["derived"]),
    }


def test_worlds_make_causes_certain(tmp_path: Path) -> None:
    one = layout(tmp_path / "a", [tar({"a": b"made at station-17"})])
    two = layout(tmp_path / "b", [tar({"a": b"made at notebook"})])
    worlds = World(hostname="station-17"), World(hostname="notebook")
    (found,) = compared(one, two, worlds).places()
    assert (found.causes()[0].cause, str(found.causes()[0].confidence)) == ("hostname", "certain")


# ---------------------------------------------------------------- other subjects


def test_an_image_and_a_layer_are_compared_as_far_as_both_go(tmp_path: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(tar({"a": b"nproc: 8"}))
    found = compare(
        image(layout(tmp_path / "a", [tar({"a": b"nproc: 4"})])), of_layer(str(tmp_path / "layer.tar"))
    )
    assert places(found) == {"a": ("content", ["cpu-count"])}
    assert found.skipped == tuple(
        f"{tmp_path / 'layer.tar'} has no {kind} to compare" for kind in ("manifest", "config")
    )


def test_folders_are_compared_without_following_links(tmp_path: Path) -> None:
    for name, cores in (("one", "4"), ("two", "8")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "nproc").write_text(cores)
        (folder / "link").symlink_to("/etc/passwd")
    found = compare(of_folder(str(tmp_path / "one")), of_folder(str(tmp_path / "two")))
    assert {d.where for d in found.places() if "content" in d.field} == {"nproc"}


# ---------------------------------------------------------------- hostile


def test_a_blob_of_other_bytes_than_its_digest_is_refused(tmp_path: Path) -> None:
    one, two = layout(tmp_path / "a", [tar({"a": b"1"})]), layout(tmp_path / "b", [tar({"a": b"2"})])
    digest = image(two).layers[0].digest.removeprefix("sha256:")
    (two / "blobs" / "sha256" / digest).write_bytes(gzip.compress(tar({"a": b"3"})))
    with pytest.raises(BuildError, match="corrupt"):
        compared(one, two)


def test_what_is_no_archive_is_told_and_the_rest_is_compared(tmp_path: Path) -> None:
    good, bad = tar({"a": b"nproc: 4"}), b"this is no archive" * 100
    one = layout(tmp_path / "a", [bad, good], media=LAYER)
    two = layout(tmp_path / "b", [bad + b"!", tar({"a": b"nproc: 8"})], media=LAYER)
    found = {d.where: causes(d) for d in compared(one, two).places()}
    assert found == {"layer 1": ["unexplained"], "a": ["cpu-count"]}


def test_sparse_files_and_names_that_leave_the_root_are_read(tmp_path: Path) -> None:
    first = tar({"../../etc/x": b"pid: 1"})
    second = tar({"../../etc/x": b"pid: 2"})
    assert layers(tmp_path / "1", first, second) == {"etc/x": ("content", ["process-id"])}
    sparse = [
        tar(
            {
                "s": File(
                    data, records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s"}
                )
            }
        )
        for data in (b"1\n0\n512\n" + b"nproc: 4", b"1\n0\n512\n" + b"nproc: 8")
    ]
    assert layers(tmp_path / "2", *sparse) == {"s": ("content", ["cpu-count"])}


def test_gnu_sparse_entries_are_read_with_their_map(tmp_path: Path) -> None:
    def made(text: bytes) -> bytes:
        data = bytearray(tar({"s": text, "t": b"after"}, tarfile.GNU_FORMAT))
        data[156:157] = b"S"
        data[386:410] = b"00000000000\x0000000000010\x00"
        total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
        data[148:156] = b"%06o\0 " % total
        return bytes(data)

    assert layers(tmp_path, made(b"nproc: 4"), made(b"nproc: 8")) == {"s": ("content", ["cpu-count"])}


def test_documents_deeper_than_any_are_refused_or_told(tmp_path: Path) -> None:
    deep: object = "x"
    for _ in range(60):
        deep = {"a": deep}
    one = layout(tmp_path / "a", [], config={"Labels": {"x": json.dumps(deep)}, "More": deep})
    two = layout(tmp_path / "b", [], config={"Labels": {"x": json.dumps(deep)}, "More": {"a": deep}})
    (found,) = (d for d in compared(one, two).differences)
    assert found.where.startswith("config.More.a.a")


def test_reading_of_members_agrees_with_the_plain_reader() -> None:
    from buildtool.layers.tarread import read_members, read_tar

    data = tar({"a": b"1", "b": File(type=tarfile.SYMTYPE, link="a")})
    assert [m.entry for m in read_members([data])] == [e for e, _ in read_tar(io.BytesIO(data))]
