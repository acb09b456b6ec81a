"""Which files of a folder are Starlark, for what formats and checks them."""

import os
from collections.abc import Iterator

from buildtool.diag import BuildError
from buildtool.frontends.starlark.bounds import MAX_BYTES

SUFFIX = ".star"


def star_files(path: str) -> Iterator[str]:
    """A file itself, or all .star files in a folder and below but in hidden ones; `no-such-file`."""
    path = os.path.normpath(path)
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise BuildError("no-such-file", f"there is no file or folder {path}")
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(files):
            if file.endswith(SUFFIX):
                yield os.path.normpath(os.path.join(folder, file))


def read_star(path: str) -> bytes:
    """The bytes of a file, at most one more than a Starlark file may have; `unreadable`."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BuildError("unreadable", f"cannot read {path}: {error.strerror}") from None
