"""The tar reader: the formats that exist, and the archives that must be refused."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.layers import decompress
from buildtool.layers.decompress import decompressed
from buildtool.layers.entry import Entry, Kind
from buildtool.layers.tar import header
from buildtool.layers.tarread import clean_path, is_tar, read_tar
from tests.support.layers import EPOCH, file, folder, written


def contents(data: bytes) -> list[tuple[Entry, bytes | None]]:
    return [(e, c.read() if c else None) for e, c in read_tar(io.BytesIO(data))]


def code_of(data: bytes) -> str:
    with pytest.raises(BuildError) as caught:
        contents(data)
    return caught.value.code


def by_python(kind: int, **options: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for name in ("short", "deep/" + "x" * 120, "prefix/" * 20 + "name", "é" * 60):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = 5, 1234567890, 70000
            tar.addfile(info, io.BytesIO(b"bytes"))
            info = tarfile.TarInfo(name + "l")
            info.type, info.linkname = tarfile.SYMTYPE, "t" * 150
            tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_what_python_writes_is_read(kind):
    found = contents(by_python(kind))
    names = [e.path.decode() for e, _ in found if e.kind is Kind.FILE]
    assert names == ["short", "deep/" + "x" * 120, "prefix/" * 20 + "name", "é" * 60]
    assert {(e.mtime, e.uid, e.size, d) for e, d in found if e.kind is Kind.FILE} == {
        (1234567890, 70000, 5, b"bytes")
    }
    assert {e.linkname for e, _ in found if e.kind is Kind.SYMLINK} == {b"t" * 150}


def test_ustar_prefixes_are_read():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("prefix/" * 20 + "name"))
    ((entry, _),) = contents(out.getvalue())
    assert entry.path == b"prefix/" * 20 + b"name"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_compression_is_told_by_content(pack):
    data, _ = written([folder(b"d"), file(b"d/f", b"data" * 100_000)])
    packed = pack(data)
    assert [e.path for e, _ in contents(packed)] == [b"d", b"d/f"]
    assert is_tar(io.BytesIO(packed))


def test_what_is_no_archive_is_told():
    for data in (b"", b"short", bytes(1024), os.urandom(2048), gzip.compress(b"text"), b"\x1f\x8b", b"BZh"):
        assert not is_tar(io.BytesIO(data))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_members_in_a_row_are_one_stream(pack):
    assert b"".join(decompressed(io.BytesIO(pack(b"one") + pack(b"two")))) == b"onetwo"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_stream_that_is_cut_off_is_refused(pack):
    data, _ = written([file(b"f", os.urandom(5000))])
    packed = pack(data)
    for size in (8, len(packed) // 2, 4000):
        assert code_of(packed[:size]) == "bad-archive"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_stream_is_refused(pack):
    data, _ = written([file(b"f", os.urandom(5000))])
    packed = bytearray(pack(data))
    packed[len(packed) // 2] ^= 0x55
    assert code_of(bytes(packed)) == "bad-archive"


def test_what_follows_gzip_is_refused():
    with pytest.raises(BuildError):
        list(decompressed(io.BytesIO(gzip.compress(b"x") + b"garbage")))


@pytest.mark.parametrize("pack", [bz2.compress, zstandard.compress])
def test_growth_beyond_proportion_is_refused(monkeypatch, pack):
    monkeypatch.setattr(decompress, "_FREE", 1 << 20)
    bomb = pack(bytes(64 << 20))
    with pytest.raises(BuildError) as caught:
        for _ in decompressed(io.BytesIO(bomb)):
            pass
    assert caught.value.code == "bad-archive"


def test_no_gzip_is_refused_for_its_proportion(monkeypatch):
    monkeypatch.setattr(decompress, "_FREE", 1 << 20)
    packed = gzip.compress(bytes(64 << 20), 9)
    assert sum(map(len, decompressed(io.BytesIO(packed)))) == 64 << 20


def raw_header(**changed: tuple[int, bytes]) -> bytes:
    """A header with some bytes replaced, and the checksum made right again."""
    block = bytearray(header(Entry(b"f", Kind.FILE, 0o644, 0, 0, EPOCH, 0)))
    for at, value in changed.values():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)


def pax(body: bytes, *, size: int | None = None, kind: bytes = b"x") -> bytes:
    length = b"%011o\x00" % (len(body) if size is None else size)
    return raw_header(size=(124, length), kind=(156, kind)) + body + bytes(-len(body) % 512)


END = bytes(1024)


@pytest.mark.parametrize(
    "data",
    [
        b"not a header".ljust(512, b"x") + END,
        raw_header()[:300],
        raw_header(size=(124, b"00000000010\x00")),
        raw_header(size=(124, b"0000000001x\x00")) + END,
        raw_header(size=(124, b"00000000009\x00")) + END,
        raw_header(size=(124, b"-0000000001\x00")) + END,
        raw_header(size=(124, b"\xff" * 12)) + END,
        raw_header(size=(124, b"\x80" + b"\x7f" * 11)) + END,
        raw_header(uid=(108, b"\x80\x00\x00\x01\x00\x00\x00\x00")) + END,
        raw_header(kind=(156, b"S")) + END,
        raw_header(kind=(156, b"V")) + END,
        raw_header(name=(0, b"\x00")) + END,
        raw_header(kind=(156, b"2")) + END,
        pax(b"x" * 20) + raw_header() + END,
        pax(b"5 a=") + raw_header() + END,
        pax(b"99 path=x\n") + raw_header() + END,
        pax(b"9 path=x") + raw_header() + END,
        pax(b"07 a=bc\n") + raw_header() + END,
        pax(b"5 =b\n") + raw_header() + END,
        pax(b"10 path=\x00\n") + raw_header() + END,
        pax(b"25 SCHILY.xattr.a\x00b=cde\n") + raw_header() + END,
        pax(b"8 path=\n") + raw_header() + END,
        pax(b"10 uid=-1\n") + raw_header() + END,
        pax(b"18 uid=4294967295\n") + raw_header() + END,
        pax(b"29 size=1" + b"0" * 18 + b"\n") + raw_header() + END,
        pax(b"13 mtime=1e5\n") + raw_header() + END,
        pax(b"22 GNU.sparse.major=1\n") + raw_header() + END,
        pax(b"9 path=x\n"),
        pax(b"9 path=x\n") + END,
        pax(b"", size=(1 << 20) + 1),
        pax(b"", size=1 << 32),
        pax(b"x" * 5000 + b"\x00", kind=b"L") + raw_header() + END,
    ],
    ids=lambda data: None,
)
def test_malformed_archives_are_refused(data):
    assert code_of(data) in ("bad-archive", "unsafe-archive")


def test_an_archive_may_end_without_its_mark():
    assert [e.path for e, _ in contents(raw_header())] == [b"f"]


def test_a_huge_header_is_refused_before_it_is_held():
    out = pax(b"", size=1 << 30) + bytes(1 << 20)
    tracemalloc.start()
    assert code_of(gzip.compress(out)) == "bad-archive"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_the_number_of_entries_is_bounded(monkeypatch):
    monkeypatch.setattr("buildtool.layers.tarread.MOST_ENTRIES", 3)
    assert code_of(raw_header() * 4 + END) == "bad-archive"


def test_a_global_header_says_nothing_of_any_entry():
    data = pax(b"9 path=x\n", kind=b"g") + raw_header() + END
    assert [e.path for e, _ in contents(data)] == [b"f"]


def test_checksums_of_signed_bytes_are_taken():
    block = bytearray(raw_header(name=(0, b"\xff\xfe")))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\x00 " % sum(b - 256 if b > 127 else b for b in block)
    assert [e.path for e, _ in contents(bytes(block) + END)] == [b"\xff\xfe"]


def test_times_are_whole_and_not_before_1970():
    for text, wanted in ((b"14 mtime=5.99\n", 5), (b"15 mtime=-5.99\n", 0), (b"11 mtime=7\n", 7)):
        ((entry, _),) = contents(pax(text) + raw_header() + END)
        assert entry.mtime == wanted


def test_a_file_whose_name_ends_in_a_slash_is_a_folder():
    ((entry, _),) = contents(raw_header(name=(0, b"old/")) + END)
    assert (entry.path, entry.kind) == (b"old", Kind.DIR)


def test_contents_that_are_not_read_are_passed_over():
    big = os.urandom(1_000_001)
    data, _ = written([file(b"a", big), file(b"b", b"x" * 300_000), file(b"c", b"c")])
    assert [e.path for e, _ in read_tar(io.BytesIO(data))] == [b"a", b"b", b"c"]
    for entry, content in read_tar(io.BytesIO(data)):
        if entry.path == b"b":
            assert content.read(10) == b"x" * 10
    (_, first), *_rest = read_tar(io.BytesIO(data))
    assert contents(data)[0][1] == big
    assert first is not None


@pytest.mark.parametrize(
    ("name", "path"),
    [(b"./a//b/./c/", b"a/b/c"), (b"/etc", b"etc"), (b".", b""), (b"./", b""), (b"..a/b..", b"..a/b..")],
)
def test_names_become_relative_paths(name, path):
    assert clean_path(name) == path


def read_or_refused(data: bytes) -> None:
    codes = []
    try:
        contents(data)
    except BuildError as error:
        codes.append(error.code)
    assert set(codes) <= {"bad-archive", "unsafe-archive"}


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data):
    read_or_refused(data)


@given(st.integers(0, 511), st.integers(0, 255))
def test_any_byte_of_a_header_may_change(at, value):
    block = bytearray(header(Entry(b"\xc3\xa9", Kind.SYMLINK, 0o777, 1, 2, EPOCH, linkname=b"t")))
    fixed = raw_header()
    changed = fixed[:at] + bytes([value]) + fixed[at + 1 :]
    for data in (changed + END, bytes(block[:at]) + bytes([value]) + bytes(block[at + 1 :]) + END):
        read_or_refused(data)
