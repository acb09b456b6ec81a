"""Every cause is named from what stands in a file, in every encoding; what has none stays unexplained."""

import bz2
import gzip
import hashlib
import io
import lzma
import random
import sqlite3
import struct
import zipfile
from collections.abc import Sequence
from contextlib import closing
from time import process_time

import pytest
import zstandard

from buildtool.verify.causes import CAUSES
from buildtool.verify.clues import Clues
from buildtool.verify.contents import content_difference
from buildtool.verify.form import Content
from buildtool.verify.model import Confidence, Difference, Finding, World, merged
from tests.support.layouts import File, tar

#: 2026-08-01T12:00:01Z and 2026-08-01T12:03:44Z.
EARLY, LATE = 1_785_585_601, 1_785_585_824


def difference(path: str, first: bytes | str, second: bytes | str, clues: Clues | None = None) -> Content:
    sides = [side.encode() if isinstance(side, str) else side for side in (first, second)]
    return content_difference(sides[0], sides[1], (clues or Clues()).at(path))


def findings(content: Content) -> tuple[Finding, ...]:
    return merged([*content.findings, *(f for part in content.inside for f in part.causes())])


def causes(content: Content) -> list[str]:
    return [f.cause for f in findings(content)]


TEXTS = [
    ("embedded-time", "a", "built 2026-08-01T12:00:01Z\n", "built 2026-08-01T12:03:44Z\n"),
    ("embedded-time", "a", "built 2026-08-01T12:00:01.25+02:00\n", "built 2026-08-01T12:03:44.75+02:00\n"),
    ("embedded-time", "var/log/dpkg.log", "2026-08-01 12:00:01 startup\n", "2026-08-01 12:03:44 startup\n"),
    ("embedded-time", "h", "Start-Date: 2026-08-01  12:00:01\n", "Start-Date: 2026-08-01  12:03:44\n"),
    ("embedded-time", "a", "Sat Aug  1 12:00:01 UTC 2026", "Sat Aug  1 12:03:44 UTC 2026"),
    ("embedded-time", "a", "Sat Aug  1 12:00:01 PM CEST 2026", "Sat Aug  1 12:03:44 PM CEST 2026"),
    ("embedded-time", "a", "Date: Sat, 01 Aug 2026 12:00:01 GMT", "Date: Sat, 01 Aug 2026 12:03:44 GMT"),
    ("embedded-time", "a", "v1 (Aug  1 2026, 12:00:01)", "v1 (Aug  1 2026, 12:03:44)"),
    ("embedded-time", "a", "Aug  1 12:00:01 sshd: on", "Aug  1 12:03:44 sshd: on"),
    ("embedded-time", "a", "[01/Aug/2026:12:00:01 +0000] GET", "[01/Aug/2026:12:03:44 +0000] GET"),
    ("embedded-time", "a", "snap-20260801120001.x", "snap-20260801120344.x"),
    ("embedded-time", "a", "snap-20260801T120001Z", "snap-20260801T120344Z"),
    ("embedded-time", "a", f"t={EARLY}", f"t={LATE}"),
    ("embedded-time", "a", f"t={EARLY}123", f"t={LATE}456"),
    ("embedded-time", "a", f"t={EARLY}.5", f"t={LATE}.75"),
    ("embedded-time", "a", f"t={EARLY:x}", f"t={LATE:x}"),
    ("embedded-time", "a", "finished in 1.25 s", "finished in 2.5 s"),
    ("embedded-time", "etc/shadow", "root:*:20666:0:99999:7:::\n", "root:*:20667:0:99999:7:::\n"),
    ("time-zone", "a", "built 2026-08-01 12:00:01\n", "built 2026-08-01 14:00:01\n"),
    ("time-zone", "a", "built 2026-08-01T12:00:01Z", "built 2026-08-01T14:00:01+02:00"),
    ("time-zone", "a", "TZ=UTC\n", "TZ=Pacific/Kiritimati\n"),
    ("build-path", "a.map", '{"file": "/build/a1/src/x.c"}', '{"file": "/build/b2/src/x.c"}'),
    ("build-path", "a", "prefix=/home/ann/app", "prefix=/home/bob/app"),
    ("build-path", "a.json", '{"url": "file:///work/one"}', '{"url": "file:///work/three"}'),
    ("hostname", "etc/hostname", "alpha\n", "beta\n"),
    ("hostname", "a", "built on alpha", "built on beta"),
    ("hostname", "a", "Linux alpha 6.1.0-10-amd64 #1 SMP x86_64", "Linux beta 6.1.0-10-amd64 #1 SMP x86_64"),
    ("random-identifier", "", "123e4567-e89b-12d3-a456-426614174000", "923e4567-e89b-42d3-a456-4266141700ff"),
    ("random-identifier", "etc/machine-id", "d6e58b0a3d2c4c6fb8b1e3a1d0c9b8a7\n",
     "06e58b0a3d2c4c6fb8b1e3a1d0c9b8a1\n"),
    ("random-identifier", "a", "into /tmp/tmp.Ab12Cd34Ef", "into /tmp/tmp.Zb12Cd34Xy"),
    ("random-identifier", "k.pem", "-----BEGIN PRIVATE KEY-----A", "-----BEGIN PRIVATE KEY-----B"),
    ("random-identifier", "a", "session: x7Gh2kQp", "session: m3Nb8vRt"),
    ("directory-order", "a", "b.txt\na.txt\nc/d.txt\n", "c/d.txt\na.txt\nb.txt\n"),
    ("directory-order", "a", "files: b.txt a.txt d.txt", "files: a.txt d.txt b.txt"),
    ("hash-seed", "a", "{'one', 'two', 'three'}", "{'three', 'one', 'two'}"),
    ("hash-seed", "a.json", '{"one": 1, "two": 2}', '{"two": 2, "one": 1}'),
    ("hash-seed", "a.conf", "one = 1\ntwo = 2\nsix = 6\n", "two = 2\nsix = 6\none = 1\n"),
    ("parallelism", "make.out", "[a] 1\n[b] 1\n[a] 2\n[b] 2\n", "[b] 1\n[a] 1\n[b] 2\n[a] 2\n"),
    ("locale", "a", "LANG=C.UTF-8\n", "LANG=tr_TR.UTF-8\n"),
    ("locale", "words", "B\nC\na\nb\n", "a\nB\nb\nC\n"),
    ("locale", "a", "ratio 1.5", "ratio 1,5"),
    ("user", "a", "packaged by: ann", "packaged by: robert"),
    ("user", "a", "created_by: ann", "created_by: robert"),
    ("user", "a", "uid=0(root) gid=0(root)", "uid=1000(ann) gid=0(root)"),
    ("cpu-count", "nproc", "4\n", "16\n"),
    ("cpu-count", "a", "make -j4 all", "make -j16 all"),
    ("cpu-count", "a", "tuned for 4 CPUs", "tuned for 16 CPUs"),
    ("inode", "a", "inode=123", "inode=98765"),
    ("inode", "a", "st_dev: 2049", "st_dev: 40"),
    ("umask", "a", "umask 0022", "umask 0077"),
    ("umask", "a", "-rw-r--r-- x", "-rw------- x"),
    ("upstream", "a", "version: 1.2.3", "version: 1.2.4"),
    ("kernel", "a", "Linux version 6.1.0-10-amd64", "Linux version 6.12.1-2-amd64"),
    ("kernel", "a", "kernel: 6.1.0", "kernel: 6.12.1"),
    ("environment", "build.env", "GREETING=hello\n", "GREETING=salut\n"),
    ("address-space", "a", "at 0x7f1234567000", "at 0x7fabcdef0000"),
    ("process-id", "a", "pid 1234", "pid 99"),
    ("process-id", "a", "worker[1234]: up", "worker[99]: up"),
    ("process-id", "run/x.pid", "12\n", "345\n"),
    ("unexplained", "a", "alpha beta", "alpha gamma"),
    ("unexplained", "a", "one\n", "one\ntwo\n"),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "path", "first", "second"), TEXTS)
def test_text_names_its_cause(cause: str, path: str, first: str, second: str) -> None:
    assert causes(difference(path, first, second)) == [cause]


def test_an_instruction_of_a_history_is_no_user() -> None:
    first, second = (f'{{"created_by":"{word}"}}' for word in ("RUN", "CMD"))
    assert "user" not in [finding.cause for finding in findings(difference("a", first, second))]


def test_several_causes_in_one_line_are_told_apart() -> None:
    first = "2026-08-01T12:00:01Z alpha build[12]: done in /build/x1/out"
    second = "2026-08-01T12:03:44Z beta build[345]: done in /build/y2/out"
    worlds = Clues(World(hostname="alpha"), World(hostname="beta"))
    assert set(causes(difference("a", first, second, worlds))) == {
        "embedded-time", "hostname", "process-id", "build-path"
    }  # fmt: skip


def test_what_is_left_beside_a_cause_is_not_hidden_by_it() -> None:
    content = difference("a", "2026-08-01T12:00:01Z good", "2026-08-01T12:03:44Z evil")
    assert causes(content) == ["embedded-time", "unexplained"]


def test_a_known_instant_makes_a_time_certain_and_says_which_it_is() -> None:
    worlds = Clues(World(instants=(("created", EARLY - 3),)), World(window=(LATE - 60, LATE + 60)))
    (found,) = findings(difference("a", f"t={EARLY}", f"t={LATE}", worlds))
    assert found.confidence is Confidence.CERTAIN
    assert found.evidence.endswith("seconds since 1970 in decimal: 3 s after created")


def test_ten_digits_far_apart_are_no_time() -> None:
    assert causes(difference("a", "n=1000000007", "n=3999999979")) == ["unexplained"]
    assert causes(difference("a", "at 3f2a1b9c", "at 5c18e07d")) == ["random-identifier"]


def test_digests_of_other_files_that_differ_are_derived() -> None:
    digests = {hashlib.sha256(b"x").hexdigest(): "usr/bin/x"}
    first, second = (f"{hashlib.sha256(d).hexdigest()}  usr/bin/x\n" for d in (b"x", b"y"))
    (found,) = findings(difference("sums", first, second, Clues(digests=digests)))
    assert (found.cause, found.confidence) == ("derived", Confidence.CERTAIN)
    assert causes(difference("sums", first, second)) == ["random-identifier"]


def test_many_lines_alike_are_one_finding_with_a_count() -> None:
    first, second = ("".join(f"2026-08-01 {at}:{n:02} x\n" for n in range(50)) for at in ("12:01", "12:04"))
    (found,) = findings(difference("a", first, second))
    assert found.count == 50


# ---------------------------------------------------------------- binary


def _packed(number: int, form: str = "<I") -> bytes:
    return b"\x00HEAD\x00\x00\x00" + struct.pack(form, number) + b"\x00tail\x00\xff"


@pytest.mark.parametrize("form", ["<I", ">I", "<q", ">q"])
def test_numbers_are_times(form: str) -> None:
    (found,) = findings(difference("a", _packed(EARLY, form), _packed(LATE, form)))
    assert found.cause == "embedded-time"
    assert "2026-08-01 12:00:01 UTC / 2026-08-01 12:03:44 UTC" in found.evidence


def test_text_in_binary_is_read() -> None:
    first, second = (b"\x00\x01built by ann@" + host + b"\x00\x02" for host in (b"alpha", b"omega"))
    assert causes(difference("a", first, second)) == ["hostname"]
    longer = b"\x00\x01built by ann@host-of-another-length\x00\x02"
    assert causes(difference("a", first, longer)) == ["hostname"]


def test_addresses_and_random_bytes_in_binary() -> None:
    first, second = (b"\x00" * 8 + struct.pack("<Q", v) for v in (0x7F1234567000, 0x7FABCDEF0000))
    assert causes(difference("a", first, second)) == ["address-space"]
    one, two = (b"\x00" * 8 + hashlib.sha256(seed).digest() for seed in (b"1", b"2"))
    assert causes(difference("a", one, two)) == ["random-identifier"]


# ---------------------------------------------------------------- packed and archives


def test_gzip_time_name_level_and_content() -> None:
    text = b"the same text " * 100
    one, two = (gzip.compress(text, 9, mtime=t) for t in (EARLY, LATE))
    assert causes(difference("a.gz", one, two)) == ["embedded-time"]
    assert causes(difference("a.gz", one, gzip.compress(text, 1, mtime=EARLY))) == ["compressor"]
    inner = [gzip.compress(b"at 2026-08-01T12:00:0%dZ" % n, mtime=0) for n in (1, 2)]
    content = difference("a.gz", *inner)
    assert [d.where for d in content.inside] == ["what it holds"]
    assert causes(content) == ["embedded-time"]


@pytest.mark.parametrize(
    ("pack", "other"),
    [
        (lambda d: bz2.compress(d, 1), lambda d: bz2.compress(d, 9)),
        (lambda d: lzma.compress(d, preset=0), lambda d: lzma.compress(d, preset=9)),
        (
            lambda d: zstandard.ZstdCompressor(1).compress(d),
            lambda d: zstandard.ZstdCompressor(19).compress(d),
        ),
    ],
    ids=["bzip2", "xz", "zstd"],
)
def test_other_compressors(pack, other) -> None:  # type: ignore[no-untyped-def]
    data = b"".join(b"%d some words\n" % (n * n) for n in range(20_000))
    assert causes(difference("a", pack(data), other(data))) == ["compressor"]
    assert causes(difference("a", pack(b"nproc: 4"), pack(b"nproc: 8"))) == ["cpu-count"]


def _zip(
    *members: tuple[str, bytes],
    when: Sequence[int] = (2026, 8, 1, 12, 0, 2),
    mode: int = 0o644,
    level: int = 6,
) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, tuple(when))  # type: ignore[arg-type]
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=level)
    return sink.getvalue()


def test_zip_times_modes_order_members_and_compression() -> None:
    a, b = ("a.txt", b"text " * 500), ("b.txt", b"id: 123e4567-e89b-12d3-a456-426614174000")
    plain = _zip(a, b)
    assert causes(difference("x.whl", plain, _zip(a, b, when=(2026, 8, 1, 12, 4, 2)))) == ["embedded-time"]
    assert causes(difference("x.whl", plain, _zip(a, b, mode=0o600))) == ["umask"]
    assert causes(difference("x.whl", plain, _zip(b, a))) == ["directory-order"]
    assert causes(difference("x.whl", plain, _zip(a, b, level=1))) == ["compressor"]
    changed = _zip(a, ("b.txt", b"id: 923e4567-e89b-12d3-a456-426614174000"))
    content = difference("x.jar", plain, changed)
    assert [d.where for d in content.inside] == ["b.txt"]
    assert causes(content) == ["random-identifier"]


def _ar(*members: tuple[str, bytes, int]) -> bytes:
    made = b"!<arch>\n"
    for name, data, time in members:
        made += (
            f"{name:<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
            + data
            + b"\n" * (len(data) % 2)
        )
    return made


def test_a_deb_is_descended_into_to_the_file_inside_its_tar() -> None:
    debs = []
    for time in (b"12:00:01", b"12:03:44"):
        data = lzma.compress(tar({"./usr/share/doc/x/built": b"2026-08-01 " + time}))
        debs.append(_ar(("debian-binary", b"2.0\n", 0), ("data.tar.xz", data, 0)))
    content = difference("x.deb", *debs)
    inner = content.inside[0].inside[0].inside[0]
    assert (inner.where, inner.kind) == ("usr/share/doc/x/built", "member")
    assert causes(content) == ["embedded-time"]
    times = [_ar(("a.o", b"code", t)) for t in (EARLY, LATE)]
    assert causes(difference("x.a", *times)) == ["embedded-time"]


def test_tar_members_owners_times_and_order() -> None:
    plain = tar({"a": File(b"1", mtime=EARLY), "b": File(b"2", mtime=EARLY)})
    assert causes(
        difference("x.tar", plain, tar({"a": File(b"1", mtime=LATE), "b": File(b"2", mtime=EARLY)}))
    ) == ["embedded-time"]
    assert causes(
        difference("x.tar", plain, tar({"b": File(b"2", mtime=EARLY), "a": File(b"1", mtime=EARLY)}))
    ) == ["directory-order"]
    named = tar({"a": File(b"1", mtime=EARLY, uname="ann"), "b": File(b"2", mtime=EARLY)})
    assert causes(difference("x.tar", plain, named)) == ["user"]


# ---------------------------------------------------------------- files of a known layout


def test_pyc_header_path_and_set_order() -> None:
    def pyc(time: int, code: bytes) -> bytes:
        return b"\xa7\x0d\x0d\x0a" + struct.pack("<III", 0, time, 40) + b"\xe3" + code

    assert causes(difference("a.pyc", pyc(EARLY, b"x" * 9), pyc(LATE, b"x" * 9))) == ["embedded-time"]
    one, two = (b"\x00\x00;/build/%b/module.py\x00" % folder for folder in (b"one", b"two"))
    assert causes(difference("a.pyc", pyc(1, one), pyc(1, two))) == ["build-path"]
    ends = b"\x01\x02", b"\x01\x03"
    one, two = (b"\xda" + bytes([len(p)]) + p for p in (b"/build/one/module.py", b"/build/three/module.py"))
    assert causes(difference("a.pyc", pyc(1, one + ends[0]), pyc(1, two + ends[0]))) == ["build-path"]
    assert "unexplained" in causes(difference("a.pyc", pyc(1, one + ends[0]), pyc(1, two + ends[1])))
    first, second = (
        b">\x02\xda\x05%b\xda\x05%b\x00" % pair for pair in ((b"alpha", b"gamma"), (b"gamma", b"alpha"))
    )
    assert causes(difference("a.pyc", pyc(1, first), pyc(1, second))) == ["hash-seed"]


def _elf(**sections: bytes) -> bytes:
    """A 64-bit ELF file of these sections and nothing else; `_` in names is `.`."""
    names = [b"", *(n.replace("_", ".").encode() for n in sections), b".shstrtab"]
    table = b"\0".join(names) + b"\0"
    bodies = [b"", *sections.values(), table]
    data, rows, at = b"", b"", 64
    for name, body in zip(names, bodies, strict=True):
        where = table.find(name + b"\0") if name else 0
        rows += struct.pack("<IIQQQQIIQQ", where, 1 if name else 0, 0, 0, at, len(body), 0, 0, 1, 0)
        data, at = data + body, at + len(body)
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, at, 0, 64, 0, 0, 64, len(names), len(names) - 1)
    )
    return head + data + rows


def test_elf_sections_are_compared_and_the_build_id_follows() -> None:
    ids = [b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + bytes([n]) * 20 for n in (1, 2)]
    one = _elf(_rodata=b"built 2026-08-01T12:00:01Z\0", _note_gnu_build_id=ids[0])
    two = _elf(_rodata=b"built 2026-08-01T12:03:44Z\0", _note_gnu_build_id=ids[1])
    content = difference(
        "usr/bin/x", one.replace(b"build.id", b"build-id"), two.replace(b"build.id", b"build-id")
    )
    assert content.form == "ELF"
    assert {d.where: d.causes()[0].cause for d in content.inside} == {
        ".rodata": "embedded-time",
        ".note.gnu.build-id": "derived",
    }


def test_apt_and_ldconfig_caches() -> None:
    apt = [struct.pack("<IIqq", 0x98FE76DC, 1, time, 7) for time in (EARLY, LATE)]
    assert causes(difference("var/cache/apt/pkgcache.bin", *apt)) == ["embedded-time"]
    aux = []
    for inode, time in ((1001, EARLY), (2002, LATE)):
        entry = struct.pack("<QQQQiIIi", inode, time, 9000, 2049, 1, 0, 0, 0)
        aux.append(b"glibc-ld.so.auxcache-1.0" + struct.pack("<II", 1, 8) + entry + b"libc.so\0")
    assert causes(difference("var/cache/ldconfig/aux-cache", *aux)) == ["inode", "embedded-time"]


def _database(*rows: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [(row,) for row in rows])
        database.commit()
        return database.serialize()


def test_sqlite_rows_are_compared() -> None:
    one, two = (_database("x", f"at 2026-08-01 {t}") for t in ("12:00:01", "12:03:44"))
    content = difference("x.db", one, two)
    assert content.form == "SQLite"
    assert causes(content) == ["embedded-time"]


# ---------------------------------------------------------------- hostile


def _bomb() -> bytes:
    data = bytes(100 << 20)
    for _ in range(2):
        data = gzip.compress(data, 1, mtime=0)
    return data


@pytest.mark.parametrize(
    "head",
    [
        b"\x1f\x8b\x08",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"!<arch>\n",
        b"\x7fELF\x02\x01",
        b"SQLite format 3\x00",
        b"glibc-ld.so.auxcache-1.0\xff\xff\xff\xff",
        b"\xa7\x0d\x0d\x0a\0\0\0\0",
    ],
)
def test_damaged_files_are_compared_as_bytes(head: bytes) -> None:
    one, two = (head + hashlib.sha256(seed).digest() * 40 for seed in (b"1", b"2"))
    assert causes(difference("a", one, two))
    assert causes(difference("a", one[: len(head) + 3], two))


def test_a_bomb_is_not_unpacked_without_end() -> None:
    bomb = _bomb()
    assert causes(difference("a.gz", bomb, bomb[:-9] + bytes([bomb[-9] ^ 1]) + bomb[-8:]))


def test_every_cause_that_is_named_is_known() -> None:
    assert {cause for cause, *_ in TEXTS} <= set(CAUSES)
    part = Difference("entry", "a", inside=(Difference("part", "b", findings=(Finding("inode", "x"),)),))
    assert [f.cause for f in part.causes()] == ["inode"]


def _samples() -> list[bytes]:
    """A small file of every form."""
    packed = [gzip.compress(b"x" * 99), bz2.compress(b"x" * 99), lzma.compress(b"x" * 99)]
    packed.append(zstandard.ZstdCompressor().compress(b"x" * 99))
    return [
        *packed,
        _zip(("a.txt", b"text"), ("b.txt", b"more")),
        _ar(("a.o", b"code", EARLY), ("b.o", b"more", LATE)),
        tar({"a": b"1", "b": b"2"}),
        _elf(_text=b"code", _rodata=b"data"),
        _database("x", "y"),
        b"glibc-ld.so.auxcache-1.0" + struct.pack("<II", 1, 8) + bytes(56),
        struct.pack("<IIqq", 0x98FE76DC, 1, EARLY, 7),
        b"\xa7\x0d\x0d\x0a" + struct.pack("<III", 0, EARLY, 40) + b"\xe3code",
        b'{"a": [1, 2, {"b": null}]}',
        "Grüße 2026-08-01 12:00:01\n".encode(),
    ]


@pytest.mark.parametrize("sample", _samples(), ids=range(len(_samples())))
def test_whatever_is_changed_in_a_file_some_cause_is_told(sample: bytes) -> None:
    source = random.Random(len(sample))
    for _ in range(60):
        changed = bytearray(sample)
        for _ in range(source.randint(1, 4)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        if source.random() < 0.3:
            del changed[source.randrange(len(changed)) :]
        if bytes(changed) != sample:
            assert causes(difference("some/file", sample, bytes(changed))), bytes(changed)


def test_long_lines_made_to_confuse_take_no_time() -> None:
    began = process_time()
    for piece in ("a.", "a", "1_", "/a", "tmp/a.", "1.1", "a-@", "=A1a", "0x7f", "{'a', "):
        line = piece * (200_000 // len(piece))
        difference("a", f"{line}x\n" * 3, f"{line}y\n" * 3)
        difference("a", f"x{line}x", f"y{line}y")
    assert process_time() - began < 20
