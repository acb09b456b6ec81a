"""Packages as their own descriptions tell of them: dpkg's status, Python's METADATA, npm's package.json."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from buildtool.archives.deb822 import field, stanzas
from buildtool.attest.purl import purl
from buildtool.lock.pypi import normal_name

_WORD = re.compile(r"[^\s\x00-\x1f]{1,300}")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; `at` is the path of the file that describes it.

    `licence` and `supplier` are as the description says them, empty where it does not.
    """

    kind: str
    name: str
    version: str
    purl: str
    at: str
    licence: str = ""
    supplier: str = ""
    homepage: str = ""


def debian_packages(data: bytes, at: str, distribution: str) -> Iterator[Package]:
    """The installed packages of /var/lib/dpkg/status, or of a file of status.d (Debian policy 5)."""
    for stanza in stanzas(data):
        name, version, state = (_text(field(stanza, f)) for f in (b"Package", b"Version", b"Status"))
        if not _WORD.fullmatch(name) or not _WORD.fullmatch(version):
            continue
        if state and state.split()[-1] != "installed":
            continue
        vendor = distribution.partition("-")[0] or "debian"
        where = purl(
            "deb",
            name,
            version,
            namespace=vendor,
            arch=_text(field(stanza, b"Architecture")),
            distro=distribution,
        )
        yield Package(
            "deb",
            name,
            version,
            where,
            at,
            supplier=_text(field(stanza, b"Maintainer")),
            homepage=_text(field(stanza, b"Homepage")),
        )


def python_package(data: bytes, at: str) -> Package | None:
    """The distribution that a METADATA or PKG-INFO describes (Python packaging's "Core metadata")."""
    found: dict[str, str] = {}
    for row in _text(data).split("\n"):
        if not row.strip():
            break
        name, colon, value = row.partition(":")
        if colon and not row.startswith((" ", "\t")):
            found.setdefault(name.lower(), value.strip())
    name, version = found.get("name", ""), found.get("version", "")
    if not _WORD.fullmatch(name) or not _WORD.fullmatch(version):
        return None
    licence = found.get("license-expression") or found.get("license", "")
    where = purl("pypi", normal_name(name), version)
    return Package(
        "pypi", name, version, where, at, licence, found.get("author", ""), found.get("home-page", "")
    )


def node_package(data: bytes, at: str) -> Package | None:
    """The package that a package.json in a node_modules folder describes."""
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict):
        return None
    name, version = (found.get(key) for key in ("name", "version"))
    if not isinstance(name, str) or not isinstance(version, str):
        return None
    if not _WORD.fullmatch(name) or not _WORD.fullmatch(version):
        return None
    licence, homepage = (v if isinstance(v := found.get(key), str) else "" for key in ("license", "homepage"))
    scope, _, short = name.rpartition("/")
    return Package(
        "npm", name, version, purl("npm", short, version, namespace=scope), at, licence, "", homepage
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
