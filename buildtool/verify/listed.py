"""Digest lists: what builds came to on some machine, for others to compare with.

A list is text, a row a result: its name (a label, or the path of a context, relative to the
list's folder), a blank, and the digest of its manifest or index.  `#` begins a comment:

    # platform linux/amd64
    :service sha256:ae7ac7ab7e31955019287d43540cf46d9e375b1a18b348bc7631931c18d0bacf
"""

import os
from collections.abc import Mapping

from buildtool.diag import BuildError, Span
from buildtool.digest import Digest, parse_digest

_LARGEST = 16 << 20


def read(path: str) -> dict[str, Digest]:
    """The digests of a list by name; BuildError `bad-digest-list` with the line."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BuildError("bad-digest-list", f"cannot read {path}: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise BuildError("bad-digest-list", f"{path} has more than {_LARGEST} bytes")
    found: dict[str, Digest] = {}
    for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        row = raw.strip()
        if not row or row.startswith("#"):
            continue
        name, _, digest = row.rpartition(" ")
        problem = "a row is NAME sha256:..." if not name.strip() else ""
        try:
            value = parse_digest(digest)
        except BuildError as error:
            problem = problem or error.message
        if name.strip() in found:
            problem = problem or f"{name.strip()} is there twice"
        if problem:
            span = Span(path, number, 1, number, len(raw) + 1, raw)
            raise BuildError("bad-digest-list", problem, span=span)
        found[name.strip()] = value
    if not found:
        raise BuildError("bad-digest-list", f"{path} lists no digest")
    return found


def written(digests: Mapping[str, Digest], platform: str) -> bytes:
    """The text of a list."""
    rows = [f"# platform {platform}", *(f"{name} {digest}" for name, digest in digests.items())]
    return ("\n".join(rows) + "\n").encode("utf-8", "surrogateescape")


def relative(name: str, path: str) -> str:
    """How a list at `path` calls a context or a label of the current folder."""
    if name.startswith(("//", ":", "@")):
        return name
    return os.path.relpath(name, os.path.dirname(os.path.abspath(path)))
