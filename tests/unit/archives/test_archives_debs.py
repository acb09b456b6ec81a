"""Taking packages apart."""

import gzip
import io
import lzma
import tarfile
from typing import BinaryIO, cast

import pytest
import zstandard

from buildtool.diag import BuildError
from buildtool.executor.steps.debs import deb_members
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
