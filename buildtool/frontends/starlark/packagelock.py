"""`package-lock.json` (versions 2 and 3) read: which archives go where in node_modules."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from buildtool.diag import BuildError, Span
from buildtool.lock.npm import NodeArchive

#: Registries whose paths are those of npm's own, so that any mirror of it serves them.
_PUBLIC = ("registry.npmjs.org", "registry.yarnpkg.com")
#: Node's names of architectures (`process.arch`).
_ARCHITECTURES = {"386": "ia32", "amd64": "x64"}
_HASHES = ("sha512", "sha384", "sha256", "sha1")
_PROGRAM = re.compile(r"[A-Za-z0-9._@][A-Za-z0-9._@+-]*")


@dataclass(frozen=True, slots=True)
class NodePackage:
    """A package in its folder (`node_modules/a/node_modules/b`); `programs` are names and paths in it."""

    folder: str
    title: str
    archive: NodeArchive
    programs: tuple[tuple[str, str], ...]


def read_package_lock(
    data: bytes, path: str, architecture: str, *, dev: bool, optional: bool
) -> tuple[NodePackage, ...]:
    """The packages that `npm ci` would lay out on linux, by folder.

    BuildError `bad-package-lock` for what is none, or what no registry serves.
    """
    try:
        tree = msgspec.json.decode(data)
    except msgspec.DecodeError as e:
        raise _bad(path, f"it is not JSON: {e}") from None
    packages = tree.get("packages") if isinstance(tree, dict) else None
    if not isinstance(packages, dict) or tree.get("lockfileVersion") not in (2, 3):
        raise _bad(path, "it is not a lock of npm 7 or newer (lockfileVersion 2 or 3)")
    found = []
    for folder, entry in sorted(packages.items()):
        if not isinstance(entry, dict):
            raise _bad(path, f"{folder!r} is not described")
        if folder and _wanted(entry, architecture, dev=dev, optional=optional):
            found.append(_package(folder, entry, path))
    return tuple(found)


def _wanted(entry: Mapping[str, Any], architecture: str, *, dev: bool, optional: bool) -> bool:
    if entry.get("inBundle") or (entry.get("dev") and not dev):
        return False
    if entry.get("devOptional") and not (dev or optional):
        return False
    if entry.get("optional") and not optional:
        return False
    cpu = _ARCHITECTURES.get(architecture, architecture)
    fits = (
        _fits(entry.get("os"), "linux") and _fits(entry.get("cpu"), cpu) and _fits(entry.get("libc"), "glibc")
    )
    return fits or not entry.get("optional")


def _fits(allowed: object, name: str) -> bool:
    """`["linux"]`, `["!win32"]`: as package.json has `os` and `cpu`."""
    if not isinstance(allowed, list) or not allowed:
        return True
    if f"!{name}" in allowed:
        return False
    return name in allowed or all(str(a).startswith("!") for a in allowed)


def _package(folder: str, entry: Mapping[str, Any], path: str) -> NodePackage:
    name = entry.get("name") or folder.rpartition("node_modules/")[2]
    version = entry.get("version", "")
    clean = folder == posixpath.normpath(folder) and not folder.startswith(("/", ".."))
    if not clean or "node_modules/" not in folder:
        raise _bad(path, f"{folder!r} is a folder of the project; workspaces are not supported")
    if entry.get("link") or not isinstance(name, str) or not isinstance(version, str):
        raise _bad(path, f"{folder} is a link to a folder of the project; that is not supported")
    integrity = entry.get("integrity")
    if not isinstance(integrity, str):
        raise _bad(path, f"{folder} has no integrity, so nothing tells what it has to be")
    try:
        archive = NodeArchive(_place(entry.get("resolved"), name, version), _strongest(integrity))
    except BuildError as e:
        raise _bad(path, f"{folder}: {e.message}") from None
    return NodePackage(folder, f"{name} {version}", archive, _programs(entry.get("bin"), name))


def _place(resolved: object, name: str, version: str) -> str:
    """Where the archive is: in the registry of the machine where that is npm's own, else at its address."""
    if not resolved:
        return f"npm:{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    parts = urlsplit(str(resolved))
    if parts.scheme in ("http", "https") and parts.hostname in _PUBLIC:
        return "npm:" + parts.path.lstrip("/")
    return str(resolved)


def _strongest(integrity: str) -> str:
    """Of several hashes the strongest one."""
    hashes = {text.partition("-")[0]: text for text in integrity.split()}
    return next((hashes[name] for name in _HASHES if name in hashes), integrity)


def _programs(bin: object, name: str) -> tuple[tuple[str, str], ...]:
    if isinstance(bin, str):
        bin = {name.rpartition("/")[2]: bin}
    if not isinstance(bin, dict):
        return ()
    found = []
    for program, path in sorted(bin.items()):
        clean = posixpath.normpath("/" + str(path))[1:]
        base = str(program).rpartition("/")[2]
        if clean and _PROGRAM.fullmatch(base):
            found.append((base, clean))
    return tuple(found)


def _bad(path: str, why: str) -> BuildError:
    return BuildError("bad-package-lock", f"{path}: {why}", span=Span(path, 1))
