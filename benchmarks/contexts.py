"""Build contexts for the benchmarks, made from what every machine with Python and busybox has.

None needs a base image: a statically linked busybox is copied onto nothing.
"""

import os
import random
import shutil
import struct
import sysconfig
from collections.abc import Iterator

#: Where Debian's busybox-static puts its program.
_BUSYBOX = "/bin/busybox"


class Missing(Exception):
    """The machine lacks something; the text says what to install."""


def small(folder: str) -> None:
    """An application of a few dozen files, over a root with a shell, with one RUN."""
    _shell(folder)
    for number in range(40):
        _write(f"{folder}/app/module{number}.py", b"VALUE = %d\n" % number)
    _dockerfile(
        folder,
        "COPY root /",
        "WORKDIR /app",
        "COPY app /app",
        "RUN echo built > /app/stamp",
        'CMD ["sh", "/app/start"]',
    )


def many_files(folder: str, files: int = 50_000, size: int = 250_000_000) -> None:
    """A tree of that many files, `size` bytes in all, of source text of uneven lengths."""
    text = _source_text()
    chance = random.Random(1)
    mean = size // files
    for number in range(files):
        length = chance.randint(mean // 5, 2 * mean - mean // 5)
        start = chance.randrange(len(text) - length)
        path = f"{folder}/tree/{number // 2000:02}/{number // 100 % 20:02}/file{number % 100:02}.py"
        _write(path, text[start : start + length])
    _dockerfile(folder, "COPY tree /srv/tree")


def chain(folder: str, steps: int = 100) -> None:
    """A shell on nothing, and that many RUN steps, each over all before it."""
    _shell(folder)
    _dockerfile(folder, "COPY root /", *(f"RUN echo {n} > /step{n}" for n in range(steps)))


def large(folder: str, size: int = 1_000_000_000) -> None:
    """Four files of `size` bytes in all: of two blocks of 64 KiB one cannot be compressed, one can."""
    text = _source_text()
    chance = random.Random(2)
    block = 1 << 16
    os.makedirs(f"{folder}/data")
    for name in range(4):
        with open(f"{folder}/data/part{name}", "wb") as f:
            for _ in range(size // 4 // (2 * block)):
                start = chance.randrange(len(text) - block)
                f.write(chance.randbytes(block) + text[start : start + block])
    _dockerfile(folder, "COPY data /data")


def sparse(folder: str, size: int) -> None:
    """One file of `size` zero bytes: a large layer that costs next to nothing to read and compress."""
    os.makedirs(f"{folder}/data")
    with open(f"{folder}/data/zeros", "wb") as f:
        f.truncate(size)
    _dockerfile(folder, "COPY data /data")


def _dockerfile(folder: str, *lines: str) -> None:
    _write(f"{folder}/Dockerfile", "\n".join(("FROM scratch", *lines, "")).encode())


def _shell(folder: str) -> None:
    """A root with busybox as its shell, at `root`."""
    if not os.path.exists(_BUSYBOX):
        raise Missing("a static busybox is needed; as root: apt-get install busybox-static")
    os.makedirs(f"{folder}/root/bin")
    shutil.copy(_BUSYBOX, f"{folder}/root/bin/busybox")
    if _needs_loader(_BUSYBOX):
        raise Missing("busybox here is not static; as root: apt-get install busybox-static")
    os.symlink("busybox", f"{folder}/root/bin/sh")


def _needs_loader(program: str) -> bool:
    """Whether a 64-bit ELF file has a PT_INTERP program header (elf(5)): it is linked dynamically."""
    with open(program, "rb") as f:
        data = f.read(4096)
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = [struct.unpack_from("<I", data, start + n * size)[0] for n in range(count)]
    return 3 in kinds


def _source_text() -> bytes:
    """Some megabytes of Python's own library."""
    return b"".join(_library())


def _library() -> Iterator[bytes]:
    folder = sysconfig.get_path("stdlib")
    size = 0
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py") and size < 8_000_000:
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            size += len(data)
            yield data


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
