"""Platforms as people write them on a command line."""

import os
from collections.abc import Iterable

from buildtool.diag import BuildError
from buildtool.graph.model import Platform

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv7l": "arm/v7",
    "armhf": "arm/v7",
    "armv6l": "arm/v6",
}
_KNOWN_ARCHITECTURES = {
    "amd64", "arm64", "386", "arm", "loong64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x",
}  # fmt: skip


def parse_platforms(texts: Iterable[str]) -> tuple[Platform, ...]:
    """The platforms of several flags or one with commas, each once; this machine's where none is named."""
    named = [part.strip() for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(parse_platform(text) for text in named or [""]))


def parse_platform(text: str) -> Platform:
    """`linux/amd64`, `arm64`, `linux/arm/v7`; empty for this machine's."""
    parts = text.split("/") if text else ["linux", os.uname().machine]
    if len(parts) == 1:
        parts = ["linux", parts[0]]
    system, architecture, *variant = parts
    architecture, _, implied = _ARCHITECTURES.get(architecture.lower(), architecture.lower()).partition("/")
    variants = variant or ([implied] if implied else [])
    if architecture not in _KNOWN_ARCHITECTURES or len(variants) > 1 or "" in variant:
        raise BuildError(
            "bad-platform",
            f"{text!r} is not a platform we know",
            hint="for example linux/amd64 or linux/arm64",
        )
    if system != "linux":
        raise BuildError("bad-platform", f"{text!r}: only images for linux are built")
    level = variants[0] if variants else ""
    if architecture == "arm64" and level == "v8":
        level = ""
    if architecture == "arm" and not level:
        level = "v7"
    return Platform(system, architecture, level)
