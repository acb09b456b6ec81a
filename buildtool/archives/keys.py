"""The public keys of Debian's archive, as shipped in `rules/keys`."""

import os
from importlib import resources

from buildtool.diag import BuildError


def debian_keyring() -> bytes:
    """Every shipped key of Debian's archive, armoured, one block after the other."""
    folder = _folder()
    names = sorted(n for n in os.listdir(folder) if n.startswith("debian-archive-") and n.endswith(".asc"))
    if not names:
        raise BuildError("no-keyring", f"{folder} holds no keys of Debian's archive", exit_status=1)
    blocks = []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            blocks.append(file.read())
    return b"\n".join(blocks)


def _folder() -> str:
    """A wheel carries `rules/` inside the package, a checkout beside it."""
    package = str(resources.files("buildtool"))
    places = [
        os.path.join(package, "_rules", "keys"),
        os.path.join(os.path.dirname(package), "rules", "keys"),
    ]
    for place in places:
        if os.path.isdir(place):
            return place
    raise BuildError(
        "no-keyring",
        "the keys of Debian's archive, which ship with buildtool, are missing",
        hint="install buildtool again",
        exit_status=1,
    )
