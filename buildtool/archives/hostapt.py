"""What the host's own apt knows: mirrors of Debian's archives, and proxies.

A wrong guess costs a request and no more: whatever a mirror serves is checked
against signatures and digests.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from buildtool.archives import deb822
from buildtool.diag import BuildError
from buildtool.lock.debian import archive_of

_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)")
_PROXY = re.compile(r"Acquire::(https?)::Proxy=(.+)")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class AptSettings:
    """Base URLs by archive, without a slash at the end, and proxy URLs by scheme."""

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str


def apt_settings(folder: str = "/etc/apt") -> AptSettings:
    """The sources in `folder`, and apt's proxies; what cannot be understood is as if it were not there."""
    found: dict[str, list[str]] = {}
    for entry in _entries(folder):
        for uri in entry.uris:
            for suite in entry.suites:
                archive = _archive(uri, suite, entry)
                if archive and (base := uri.rstrip("/")) not in found.setdefault(archive, []):
                    found[archive].append(base)
    return AptSettings({a: tuple(urls) for a, urls in found.items()}, _proxies())


def _archive(uri: str, suite: str, entry: _Entry) -> str:
    """The archive that a source is a mirror of, or an empty string."""
    last = urlsplit(uri).path.rstrip("/").rpartition("/")[2]
    ours = last in ("debian", "debian-security") or "debian-archive" in entry.signed_by
    if urlsplit(uri).scheme not in ("http", "https") or not ours or "main" not in entry.components:
        return ""
    return archive_of(suite)


def _entries(folder: str) -> Iterator[_Entry]:
    parts = os.path.join(folder, "sources.list.d")
    try:
        names = sorted(os.listdir(parts))
    except OSError:
        names = []
    yield from _one_line_entries(_text(os.path.join(folder, "sources.list")))
    for name in names:
        text = _text(os.path.join(parts, name))
        if name.endswith(".list"):
            yield from _one_line_entries(text)
        elif name.endswith(".sources"):
            yield from _stanza_entries(text)


def _one_line_entries(text: str) -> Iterator[_Entry]:
    for row in text.splitlines():
        match = _ONE_LINE.match(row.partition("#")[0].strip())
        if match:
            options, uri, suite, components = match.groups(default="")
            signed_by = "".join(o for o in options.split() if o.startswith("signed-by="))
            yield _Entry((uri,), (suite,), tuple(components.split()), signed_by)


def _stanza_entries(text: str) -> Iterator[_Entry]:
    kept = "\n".join(row for row in text.splitlines() if not row.startswith("#"))
    for stanza in deb822.stanzas(kept.encode()):
        try:
            values = deb822.fields(stanza)
        except BuildError:
            continue
        if "deb" in values.get("types", "").split() and values.get("enabled", "yes").lower() != "no":
            yield _Entry(
                tuple(values.get("uris", "").split()),
                tuple(values.get("suites", "").split()),
                tuple(values.get("components", "").split()),
                values.get("signed-by", ""),
            )


def _proxies() -> dict[str, str]:
    """Proxies of apt's configuration, as `apt-config` itself understands it."""
    import shutil
    import subprocess

    program = shutil.which("apt-config")
    if program is None:
        return {}
    argv = [program, "dump", "--format", "%f=%v%n", "Acquire"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found = (_PROXY.fullmatch(row) for row in done.stdout.decode("utf-8", "replace").splitlines())
    return {m[1]: m[2] for m in found if m and m[2] != "DIRECT"}


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST)
    except OSError:
        return ""
