"""Remembered packages: what a package declared when it was last loaded, while that still holds.

An entry names every file that was evaluated and every glob, with their digests;
it holds while all of them are what they were.  Checking that needs no Starlark, so
an unchanged workspace starts no process.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import Protocol

from msgspec import json

from buildtool.digest import key_of, sha256
from buildtool.frontends.starlark.bounds import MAX_BYTES
from buildtool.frontends.starlark.configuration import Configuration
from buildtool.frontends.starlark.declared import Package, decode, encode
from buildtool.frontends.starlark.globbing import glob
from buildtool.frontends.starlark.labels import BUILD_FILE

#: A change of what a package is made of moves this number.
FORMAT = 3


class Memory(Protocol):
    """Where bytes are kept between builds, by a key."""

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes put under those keys that are still there."""

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under `key`."""


class Remembered:
    """The packages of the workspace at `root` in a memory; `rules` is the folder of the shipped files."""

    def __init__(self, memory: Memory, root: str, rules: str) -> None:
        self._memory = memory
        self._root = root
        self._rules = rules
        self._digests: dict[str, str] = {}

    def get_many(self, names: Iterable[str], configuration: Configuration) -> dict[str, Package]:
        """Those packages that are known as they would be loaded now."""
        found: dict[str, Package] = {}
        builds = {name: self._digest(_build_file(name)) for name in names}
        for settings in ("", _settings(configuration)):
            keys = {n: self._key(n, build, settings) for n, build in builds.items() if n not in found}
            known = self._memory.get_many(keys.values())
            for name, key in keys.items():
                package = _decoded(known.get(key))
                if package is not None and package.name == name and self._holds(package):
                    found[name] = package
            if len(found) == len(builds):
                break
        return found

    def put_many(self, packages: Iterable[Package], configuration: Configuration) -> None:
        """Remember packages that were loaded for a configuration."""
        for package in packages:
            settings = _settings(configuration) if package.configured else ""
            key = self._key(package.name, package.reads[_build_file(package.name)], settings)
            self._memory.put(key, encode(package))

    def _key(self, name: str, build: str, settings: str) -> str:
        return key_of(["starlark", FORMAT, _prelude(), name, build, settings])

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


def _build_file(package: str) -> str:
    return f"{package}/{BUILD_FILE}" if package else BUILD_FILE


def _decoded(data: bytes | None) -> Package | None:
    try:
        return decode(data) if data is not None else None
    except ValueError:
        return None


def _settings(configuration: Configuration) -> str:
    return sha256(json.encode(configuration, order="sorted"))


@cache
def _prelude() -> str:
    return _digest_of_file(os.path.join(os.path.dirname(__file__), "prelude.star"))
