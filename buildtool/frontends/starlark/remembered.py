"""Remembered packages: what a package declared when it was last loaded, while that still holds.

An entry names every file that was evaluated and every glob, with their digests;
it holds while all of them are what they were.  Checking that needs no Starlark, so
an unchanged workspace starts no process.
"""

import os
from functools import cache
from typing import Protocol

from buildtool.digest import key_of, sha256
from buildtool.frontends.starlark.bounds import MAX_BYTES
from buildtool.frontends.starlark.declared import Package, decode, encode
from buildtool.frontends.starlark.globbing import glob
from buildtool.frontends.starlark.labels import BUILD_FILE

#: A change of what a package is made of moves this number.
FORMAT = 1


class Memory(Protocol):
    """Where bytes are kept between builds, by a key."""

    def get(self, key: str) -> bytes | None:
        """The bytes put under `key`, if they are still there."""

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under `key`."""


class Remembered:
    """The packages of the workspace at `root` in a memory; `rules` is the folder of the shipped files."""

    def __init__(self, memory: Memory, root: str, rules: str) -> None:
        self._memory = memory
        self._root = root
        self._rules = rules
        self._digests: dict[str, str] = {}

    def get(self, name: str) -> Package | None:
        """The package as it would be loaded now, or None where that is not known."""
        build = f"{name}/{BUILD_FILE}" if name else BUILD_FILE
        data = self._memory.get(self._key(name, self._digest(build)))
        if data is None:
            return None
        try:
            package = decode(data)
        except ValueError:
            return None
        return package if package.name == name and self._holds(package) else None

    def put(self, package: Package) -> None:
        build = f"{package.name}/{BUILD_FILE}" if package.name else BUILD_FILE
        self._memory.put(self._key(package.name, package.reads[build]), encode(package))

    def _key(self, name: str, build: str) -> str:
        return key_of(["starlark", FORMAT, _prelude(), name, build])

    def _holds(self, package: Package) -> bool:
        from buildtool.diag import BuildError
        from buildtool.frontends.starlark.builtins import digest_of

        folder = os.path.join(self._root, package.name) if package.name else self._root
        try:
            return all(self._digest(file) == digest for file, digest in package.reads.items()) and all(
                digest_of(glob(folder, g.include, g.exclude)) == g.digest for g in package.globs
            )
        except BuildError:
            return False

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            rules = file.removeprefix("@rules//")
            path = os.path.join(self._rules, rules) if rules != file else os.path.join(self._root, file)
            self._digests[file] = _digest_of_file(path)
        return self._digests[file]


def _digest_of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return sha256(file.read(MAX_BYTES + 1))
    except OSError:
        return ""


@cache
def _prelude() -> str:
    return _digest_of_file(os.path.join(os.path.dirname(__file__), "prelude.star"))
