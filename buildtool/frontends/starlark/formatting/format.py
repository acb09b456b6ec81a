"""Formatting a whole file: parsed with its comments, put in order, printed."""

import posixpath
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from buildtool.frontends.starlark.formatting.printer import Printer
from buildtool.frontends.starlark.formatting.rewrite import rewrite
from buildtool.frontends.starlark.labels import BUILD_FILE
from buildtool.frontends.starlark.syntax.parse import parsed

#: Frames of Python that the deepest text within the bounds takes.
_FRAMES = 20_000


def formatted(data: bytes, file: str) -> str:
    """A file as it ought to be; a name that ends in BUILD.star makes it the file of a package.

    BuildError: `starlark-syntax`, `starlark-too-deep`, `starlark-too-big`, `starlark-not-text`.
    """
    package = posixpath.basename(file) == BUILD_FILE
    with deep():
        tree, _ = parsed(data, file)
        rewrite(tree, package=package)
        return Printer(package=package).file(tree)


@contextmanager
def deep() -> Iterator[None]:
    """Room for the recursion over the deepest tree; Python's frames lie on the heap."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
