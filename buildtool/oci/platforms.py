"""How well a platform that is there fits the one that is wanted."""

from buildtool.graph.model import Platform

#: What an empty variant means (containerd's platforms package normalises the same way).
_IMPLIED = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


def fit(wanted: Platform, there: Platform) -> int:
    """0 when an image for `there` does not run on `wanted`; more for the better of several."""
    if (wanted.os, wanted.architecture) != (there.os, there.architecture):
        return 0
    implied = _IMPLIED.get(wanted.architecture, "")
    want, have = _level(wanted.variant or implied), _level(there.variant or implied)
    if want is None or have is None:
        return 100 if wanted.variant == there.variant else 0
    # A processor runs what was made for an older level of its own architecture.
    return 100 - (want - have) if want >= have else 0


def _level(variant: str) -> int | None:
    digits = variant.removeprefix("v")
    return int(digits) if variant.startswith("v") and digits.isdecimal() and len(digits) < 3 else None
