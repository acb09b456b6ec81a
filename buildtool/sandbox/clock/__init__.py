"""The clock library: a process that loads it sees one instant, ordered directories and four processors.

It is a small shared object without any dependency, written in C (`clock.c`,
`directory.c`, `cpus.c`), compiled when this package is built, and loaded by LD_PRELOAD.
docs/design/clock.md says what it does and what it cannot do.
"""

import os
import struct

from buildtool.diag import BuildError

#: What the library does to a process; part of the key of a step whose clock stands still.
VERSION = 2

#: Where the instant stands in the file: 16 bytes that mark the place, then seconds as a signed number.
_MARK = b"buildtool-clock!"
_SECONDS = struct.Struct("<q")


def library(architecture: str, instant: int) -> bytes:
    """The shared object for an OCI architecture, set to an instant (seconds since 1970).

    BuildError `no-clock-library` if this installation has none for the architecture.
    """
    path = os.path.join(os.path.dirname(__file__), f"clock-{architecture}.so")
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        raise BuildError(
            "no-clock-library",
            f"this installation has no clock library for {architecture}",
            hint="build it: python -m buildtool.sandbox.clock.build",
            exit_status=1,
        ) from None
    place = data.find(_MARK)
    if place < 0 or data.count(_MARK) != 1:
        raise BuildError(
            "no-clock-library",
            f"the clock library for {architecture} is damaged",
            hint="build it again: python -m buildtool.sandbox.clock.build",
            exit_status=1,
        )
    start = place + len(_MARK)
    return data[:start] + _SECONDS.pack(instant) + data[start + _SECONDS.size :]
