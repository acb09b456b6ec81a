"""Makes the build context of the determinism suite: every odd file that a folder can hold.

What is made does not depend on `seed`, only the order of making it does, and with
it the order in which a file system lists it.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[1] / "determinism" / "image"

LONG = "n" * 255
#: Far longer than the 100 and the 155 bytes that a ustar header has for names.
DEEP = "/".join(f"{letter * 90}-deep" for letter in "abcdef")
WIDE = "wide/" + "ü" * 127
BEYOND_ASCII = "naïve – ünïcode.txt"
_RAW = b"not-utf8-\xff\xfe\x80-\xe9"

#: Path, mode; made as folders before anything else.
FOLDERS: tuple[tuple[bytes, int], ...] = (
    (b"empty", 0o755),
    (b"empty/inner", 0o700),
    (b"sticky", 0o1777),
    (b"setgid", 0o2775),
    (b"closed", 0o711),
    (b"tree", 0o755),
    (b"wide", 0o755),
    (b"linked", 0o755),
    (b"many", 0o755),
    (b"raw-\xff", 0o755),
)

#: Path, mode, content.
FILES: tuple[tuple[bytes, int, bytes], ...] = (
    (b"plain", 0o644, b"plain\n"),
    (b"nothing", 0o644, b""),
    (b"setuid", 0o4755, b"#!/bin/sh\nid\n"),
    (b"setgid/file", 0o2755, b"#!/bin/sh\nid\n"),
    (b"sticky/file", 0o1644, b"sticky\n"),
    (b"read-only", 0o400, b"read only\n"),
    (b"anyone", 0o777, b"anyone\n"),
    (b"line\nbreak", 0o644, b"line break\n"),
    (b" leading and trailing ", 0o644, b"blanks\n"),
    (b'quo"te\\back', 0o644, b"quotes\n"),
    (b"-dash", 0o644, b"dash\n"),
    (_RAW, 0o644, b"bytes\n"),
    (b"raw-\xff/\xc3\x28", 0o600, b"bytes below bytes\n"),
    (LONG.encode(), 0o644, b"a long name\n"),
    (WIDE.encode(), 0o644, b"254 bytes of UTF-8\n"),
    (b"tree/" + DEEP.encode() + b"/" + LONG.encode(), 0o644, b"a long path\n"),
    (b"noise", 0o644, random.Random(1).randbytes(2_500_000)),
    (b"linked/b-first", 0o755, b"one file, three names\n"),
    *((b"many/%03d" % n, 0o644, b"%d\n" % n) for n in range(150)),
)

#: Path, target.
SYMLINKS: tuple[tuple[bytes, bytes], ...] = (
    (b"to-plain", b"plain"),
    (b"dangling", b"no/such/file"),
    (b"absolute", b"/etc/passwd"),
    (b"upwards", b"../../../../outside"),
    (b"to-folder", b"tree"),
    (b"loop", b"loop"),
    (b"to-bytes", _RAW),
    (b"far", b"t/" * 150 + b"end"),
)

#: Path, the name that is there before.
HARDLINKS: tuple[tuple[bytes, bytes], ...] = (
    (b"linked/a-second", b"linked/b-first"),
    (b"zz-third", b"linked/b-first"),
)


def make_context(place: Path, *, seed: int = 0, owner: tuple[int, int] | None = None) -> Path:
    """Make the context in the new folder `place`; all of it belongs to `owner`."""
    place.mkdir(parents=True)
    shutil.copytree(IMAGE, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (place / BEYOND_ASCII).write_text("a name beyond ASCII\n")
    made = b"%b/odd" % os.fsencode(place)
    os.mkdir(made)
    shuffled = random.Random(seed)
    for path, _ in FOLDERS:
        os.makedirs(made + b"/" + path)
    tasks: list[Callable[[], None]] = [
        *(_writer(made + b"/" + path, data) for path, _, data in FILES),
        *(_linker(made + b"/" + path, target) for path, target in SYMLINKS),
        lambda: os.mkfifo(made + b"/fifo"),
        lambda: _sparse(made + b"/sparse"),
    ]
    shuffled.shuffle(tasks)
    for task in tasks:
        task()
    links = list(HARDLINKS)
    shuffled.shuffle(links)
    for path, first in links:
        os.link(made + b"/" + first, made + b"/" + path)
    _settle(place, made, owner)
    return place


def _writer(path: bytes, data: bytes) -> Callable[[], None]:
    def write() -> None:
        os.makedirs(path.rpartition(b"/")[0], exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        try:
            os.setxattr(path, "user.comment", b"of no image")
        except OSError:
            pass  # not every file system has them: a layer never does

    return write


def _linker(path: bytes, target: bytes) -> Callable[[], None]:
    return lambda: os.symlink(target, path)


def _sparse(path: bytes) -> None:
    with open(path, "wb") as f:
        f.seek(1 << 20)
        f.write(b"in the middle of nothing")
        f.truncate(3 << 20)


def _settle(place: Path, made: bytes, owner: tuple[int, int] | None) -> None:
    """Owners, then modes: every one is said, so that the umask says none."""
    for folder, folders, files in os.walk(os.fsencode(place)):
        for name in (b".", *folders, *files):
            path = folder + b"/" + name
            if owner is not None:
                os.chown(path, *owner, follow_symlinks=False)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
    os.chmod(made + b"/fifo", 0o622)
    for path, mode, _ in FILES:
        os.chmod(made + b"/" + path, mode)
    for path, mode in FOLDERS:
        os.chmod(made + b"/" + path, mode)
