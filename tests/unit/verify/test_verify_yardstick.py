"""The example of the design, built twice by BuildKit with rewritten times: seven files differ.

The files are modelled on those that `apt-get -y install python3 python3-pip` leaves over
ubuntu:20.04; most of what stays the same is left out.
"""

import random
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.layouts import File, causes, compared, layout, tar

#: SOURCE_DATE_EPOCH, to which BuildKit rewrites every time of a file that is later.
EPOCH = 1_600_000_000
STEPS = (
    "/bin/sh -c #(nop) ADD file:7486147a645d8835a5181c79f00a3606c6b714c83bcbfcd8862221eb14690f9e in /",
    "RUN /bin/sh -c apt-get update &&     apt-get -y install python3 python3-pip # buildkit",
    "COPY my-app.py /app/ # buildkit",
    "WORKDIR /app",
)
PACKAGES = (
    "libexpat1:amd64 2.2.9-1ubuntu0.8",
    "python3.8:amd64 3.8.10-0ubuntu1~20.04.18",
    "python3-pip:all 20.0.2-5ubuntu1.11",
)
LIBRARIES = ("libc.so.6", "libexpat.so.1", "libffi.so.7", "libpython3.8.so.1.0")


class Build:
    """A build that began at `begun`; `seed` stands for all else that two builds do not share."""

    def __init__(self, begun: datetime, seed: int) -> None:
        self.begun = begun
        self.random = random.Random(seed)

    def at(self, seconds: int, form: str) -> str:
        return (self.begun + timedelta(seconds=seconds)).strftime(form)

    def dpkg_log(self) -> bytes:
        rows = ["{0} startup archives unpack"]
        for package in PACKAGES:
            rows += [
                f"{{0}} install {package.replace(' ', ' <none> ')}",
                f"{{0}} status half-installed {package}",
            ]
        rows += [f"{{0}} configure {package} <none>" for package in PACKAGES]
        text = "\n".join(row.format(self.at(20 + n // 3, "%Y-%m-%d %H:%M:%S")) for n, row in enumerate(rows))
        return f"{text}\n".encode()

    def alternatives_log(self) -> bytes:
        row = "update-alternatives {}: run with --quiet --install /usr/bin/{} {} /usr/bin/{} 10"
        names = (("python", "python", "python3.8"), ("pager", "pager", "less"))
        return "".join(f"{row.format(self.at(31, '%Y-%m-%d %H:%M:%S'), *n)}\n" for n in names).encode()

    def history_log(self) -> bytes:
        start, end = self.at(19, "%Y-%m-%d  %H:%M:%S"), self.at(34, "%Y-%m-%d  %H:%M:%S")
        installed = ", ".join(f"{p.partition(' ')[0]} ({p.partition(' ')[2]}, automatic)" for p in PACKAGES)
        command = "apt-get -y install python3 python3-pip"
        return (
            f"\nStart-Date: {start}\nCommandline: {command}\nInstall: {installed}\nEnd-Date: {end}\n".encode()
        )

    def term_log(self) -> bytes:
        rows = [f"Selecting previously unselected package {p.partition(' ')[0]}.\r" for p in PACKAGES]
        rows += [f"Setting up {p.replace(':amd64 ', ' (')}) ...\r" for p in PACKAGES]
        started, ended = self.at(19, "%Y-%m-%d  %H:%M:%S"), self.at(34, "%Y-%m-%d  %H:%M:%S")
        return "\n".join(["", f"Log started: {started}", *rows, f"Log ended: {ended}", ""]).encode()

    def apt_cache(self, size: int) -> bytes:
        """apt's mapped cache: what it knows of packages, and among it the times of the lists."""
        body = bytearray(random.Random(size).randbytes(size))
        body[:8] = struct.pack("<IHH", 0x98FE76DC, 16, 0)
        for place in range(4096, size - 4096, size // 5 // 16 * 16):
            moment = int(self.begun.timestamp()) + self.random.randrange(8)
            body[place : place + 8] = struct.pack("<q", moment)
            body[place + 64 : place + 72] = struct.pack(
                "<Q", 0x7F00_0000_0000 + self.random.randrange(1 << 28) * 4096
            )
        return bytes(body)

    def aux_cache(self) -> bytes:
        """glibc's elf/cache.c: inode, change time, size and device of each library, sorted by inode."""
        inodes = sorted(self.random.sample(range(10**6, 10**7), len(LIBRARIES)))
        moment, device = int(self.begun.timestamp()), self.random.randrange(40, 400)
        rows = [
            struct.pack("<QQQQiIIi", i, moment + n, 2_000 + n, device, 0x303, 0, 0, 0)
            for n, i in enumerate(inodes)
        ]
        strings = "\0".join(f"/lib/x86_64-linux-gnu/{name}" for name in LIBRARIES).encode() + b"\0"
        return (
            b"glibc-ld.so.auxcache-1.0"
            + struct.pack("<II", len(rows), len(strings))
            + b"".join(rows)
            + strings
        )

    def layers(self) -> list[bytes]:
        files = {
            "etc/ld.so.cache": b"glibc-ld.so.cache1.1 the same",
            "usr/bin/python3.8": b"\x7fELF the same",
            "var/cache/apt/pkgcache.bin": self.apt_cache(200_000),
            "var/cache/apt/srcpkgcache.bin": self.apt_cache(150_000),
            "var/cache/ldconfig/aux-cache": self.aux_cache(),
            "var/lib/dpkg/status": b"".join(b"Package: %b\n\n" % p.encode() for p in PACKAGES),
            "var/log/alternatives.log": self.alternatives_log(),
            "var/log/apt/history.log": self.history_log(),
            "var/log/apt/term.log": self.term_log(),
            "var/log/dpkg.log": self.dpkg_log(),
        }
        installed = tar({name: File(data, mtime=EPOCH) for name, data in files.items()})
        return [
            tar({"etc/os-release": b"Ubuntu"}),
            installed,
            tar({"app/my-app.py": File(b"print()", mtime=EPOCH)}),
        ]


def _built(folder: Path, begun: datetime, seed: int) -> Path:
    steps = [STEPS[0], STEPS[1], STEPS[2]]
    return layout(folder, Build(begun, seed).layers(), created="2020-09-13T12:26:40Z", steps=steps)


def test_seven_files_differ_each_with_its_cause(tmp_path: Path, golden) -> None:  # type: ignore[no-untyped-def]
    from buildtool.verify.render import as_text

    one = _built(tmp_path / "first", datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC), 1)
    two = _built(tmp_path / "second", datetime(2026, 8, 1, 12, 3, 44, tzinfo=UTC), 2)
    found = compared(one, two)
    assert {place.where: causes(place) for place in found.places()} == {
        "var/cache/apt/pkgcache.bin": ["address-space", "embedded-time"],
        "var/cache/apt/srcpkgcache.bin": ["address-space", "embedded-time"],
        "var/cache/ldconfig/aux-cache": ["inode", "embedded-time"],
        "var/log/alternatives.log": ["embedded-time"],
        "var/log/apt/history.log": ["embedded-time"],
        "var/log/apt/term.log": ["embedded-time"],
        "var/log/dpkg.log": ["embedded-time"],
    }
    assert {d.step.text for d in found.differences if d.step} == {STEPS[1]}
    golden("verify/yardstick.txt", as_text(found))
