"""Taking packages apart."""

import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest
import zstandard

from buildtool.diag import BuildError
from buildtool.executor.steps.archives import Spool
from buildtool.executor.steps.debs import data_entries, deb_members, unpack_debs
from buildtool.executor.steps.trees import Item
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, FileContent, Kind
from buildtool.layers.tree import Stack
from tests.support.debian_archive import ar, make_deb


def names(stream: BinaryIO) -> list[str]:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        return tar.getnames()


def plain_tar(name: str = "./f") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = 300_000
        tar.addfile(info, io.BytesIO(bytes(300_000)))
    return out.getvalue()


def members(data: bytes) -> tuple[BinaryIO, BinaryIO]:
    return deb_members(io.BytesIO(data))


def test_both_archives() -> None:
    control, data = members(make_deb("a", "1", {"./usr/bin/a": b"x" * 1001}))
    assert names(data) == ["./usr/bin/a"]
    assert names(control) == ["./control"]


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.compress)],
)
def test_compressions(suffix: str, pack: "type[bytes]") -> None:
    tar = plain_tar()
    deb = ar({"debian-binary": b"2.0\n", "control.tar" + suffix: pack(tar), "data.tar" + suffix: pack(tar)})
    control, data = members(deb)
    assert control.read() == data.read() == tar


def test_a_stream_without_seeking() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            return self.inner.readinto(memoryview(buffer)[:7])  # type: ignore[arg-type]

    _, data = deb_members(cast(BinaryIO, Pipe(make_deb("a", "1", {"./x": b"y" * 5000}))))
    assert names(data) == ["./x"]


def test_members_of_other_tools_are_passed_over() -> None:
    tar = plain_tar()
    deb = ar(
        {"debian-binary": b"2.0\n", "_gpgbuilder": b"odd", "control.tar": tar, "_x": b"", "data.tar": tar}
    )
    assert names(members(deb)[1]) == ["./f"]


TAR = plain_tar()
BROKEN = {
    "empty": b"",
    "not-ar": b"PK\3\4 something else",
    "no-version": ar({"control.tar": TAR, "data.tar": TAR}),
    "version-3": ar({"debian-binary": b"3.0\n", "control.tar": TAR, "data.tar": TAR}),
    "wrong-order": ar({"debian-binary": b"2.0\n", "data.tar": TAR, "control.tar": TAR}),
    "no-data": ar({"debian-binary": b"2.0\n", "control.tar": TAR}),
    "lzma": ar({"debian-binary": b"2.0\n", "control.tar.lzma": b"", "data.tar": TAR}),
    "header": ar({"debian-binary": b"2.0\n"}) + b"x" * 60,
    "huge-control": ar({"debian-binary": b"2.0\n"})
    + f"{'control.tar':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{9999999999:<10}`\n".encode(),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_packages(case: str) -> None:
    with pytest.raises(BuildError) as caught:
        members(BROKEN[case])
    assert caught.value.code == "bad-deb"


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_truncated_data(suffix: str) -> None:
    noise = bytes(n * 7919 % 251 for n in range(400_000))
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[suffix]
    deb = ar({"debian-binary": b"2.0\n", "control.tar": TAR, "data.tar" + suffix: pack(noise)})
    _, data = members(deb[:-20])
    with pytest.raises(BuildError) as caught:
        data.read()
    assert caught.value.code == "bad-deb"


def test_garbage_data() -> None:
    deb = ar({"debian-binary": b"2.0\n", "control.tar": TAR, "data.tar.xz": b"not xz at all" * 10})
    _, data = members(deb)
    with pytest.raises(BuildError, match="cannot be unpacked"):
        data.read()


def test_the_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import buildtool.executor.steps.debs as debs

    monkeypatch.setattr(debs, "_LARGEST_DATA", 100_000)
    deb = ar({"debian-binary": b"2.0\n", "control.tar": TAR, "data.tar.xz": lzma.compress(TAR)})
    _, data = members(deb)
    with pytest.raises(BuildError, match="more than is allowed"):
        data.read()


class OneFile:
    """A source tree of one package."""

    def __init__(self, path: Path, deb: bytes) -> None:
        path.write_bytes(deb)
        self._item = Item(
            Kind.FILE,
            0o644,
            0,
            0,
            None,
            len(deb),
            b"",
            0,
            0,
            (),
            None,
            FileContent(str(path), None, len(deb)),
        )

    def lookup(self, path: bytes) -> Item | None:
        return self._item if path == b"a.deb" else None

    def names(self, path: bytes) -> list[bytes]:
        return [b"a.deb"] if not path else []

    def check(self) -> None:
        pass


def test_unpacking_over_a_merged_usr(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    draft = LayerDraft(Stack([str(tmp_path / "lower")]))
    draft.add(Entry(b"usr", Kind.DIR, 0o755, 0, 0, 1))
    draft.add(Entry(b"usr/bin", Kind.DIR, 0o755, 0, 0, 1))
    draft.add(Entry(b"bin", Kind.SYMLINK, 0o777, 0, 0, 1, linkname=b"usr/bin"))
    spool = Spool(str(tmp_path / "spool"))
    for number, content in enumerate((b"first", b"second")):
        deb = make_deb("a", "1", {"./bin": None, "./bin/tool": content, "./etc/conf": content})
        unpack_debs(OneFile(tmp_path / f"{number}.deb", deb), draft, spool, 5)
    kinds = {entry.path: entry.kind for entry, _ in draft.entries()}
    assert kinds == {
        b"bin": Kind.SYMLINK,
        b"etc": Kind.DIR,
        b"etc/conf": Kind.FILE,
        b"usr": Kind.DIR,
        b"usr/bin": Kind.DIR,
        b"usr/bin/tool": Kind.FILE,
    }
    tool = draft.lookup(b"usr/bin/tool")
    assert tool is not None
    assert tool.size == len(b"second")
    spool.close()


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    draft = LayerDraft(Stack([str(tmp_path / "lower")]))
    spool = Spool(str(tmp_path / "spool"))
    with pytest.raises(BuildError, match=r"a\.deb: a Debian package cannot be read"):
        unpack_debs(OneFile(tmp_path / "x", b"nothing"), draft, spool, 5)
    spool.close()


def test_the_entries_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(make_deb("a", "1", {"./usr/x": b"12345"}))
    found = [(e.path, e.kind, s.read() if s else None) for e, s in data_entries(str(tmp_path / "a.deb"))]
    assert found == [(b"usr/x", Kind.FILE, b"12345")]
