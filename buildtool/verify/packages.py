"""Packages of Debian in a layer: which have other versions on the two sides, and which files are theirs."""

import re
from collections.abc import Iterator

from buildtool.verify.marks import CERTAIN
from buildtool.verify.model import Finding

STATUS = b"var/lib/dpkg/status"
_LIST = re.compile(rb"var/lib/dpkg/info/([^/:]+)(?::[^/]+)?\.(?:list|md5sums)")
_INFO = re.compile(rb"(?:var/lib/dpkg/info/|usr/share/doc/)([^/:]+?)(?::[^/.]+)?(?:\.[a-z0-9]+$|/)")
_MOST_BYTES = 1 << 24


class Packages:
    """Learns of packages while a layer is read; afterwards names the changed one that a path belongs to."""

    def __init__(self) -> None:
        self._lists: dict[str, bytes] = {}
        self._left = _MOST_BYTES
        self._changed: dict[str, tuple[str, str]] = {}
        self._owners: dict[bytes, str] | None = None

    def wants(self, path: bytes) -> bool:
        """Whether the content of a path tells of packages."""
        return path == STATUS or _LIST.fullmatch(path) is not None

    def learn(self, path: bytes, first: bytes | None, second: bytes | None) -> None:
        """Take up the contents of such a path."""
        if path == STATUS:
            one, two = (dict(_versions(data or b"")) for data in (first, second))
            self._changed = {n: (one.get(n, ""), two.get(n, "")) for n in one.keys() | two.keys()}
            self._changed = {n: v for n, v in self._changed.items() if v[0] != v[1]}
            return
        found = _LIST.fullmatch(path)
        for data in (first, second):
            if found is not None and data is not None and path.endswith(b".list") and len(data) < self._left:
                self._left -= len(data)
                name = found[1].decode("latin-1")
                self._lists[name] = self._lists.get(name, b"") + b"\n" + data

    def finding(self, path: bytes) -> Finding | None:
        """That a path differs because its package has another version."""
        if not self._changed:
            return None
        if self._owners is None:
            self._owners = {
                line.strip().strip(b"/"): name
                for name in self._changed
                for line in self._lists.get(name, b"").splitlines()
            }
        info = _INFO.match(path)
        name = self._owners.get(path) or (info[1].decode("latin-1") if info else "")
        if name not in self._changed:
            return None
        one, two = self._changed[name]
        return Finding("upstream", f"{name} {one or 'absent'} / {two or 'absent'}", CERTAIN)


def _versions(status: bytes) -> Iterator[tuple[str, str]]:
    """Names and versions in dpkg's status file."""
    for part in status.split(b"\n\n"):
        name = re.search(rb"(?m)^Package: (\S+)$", part)
        version = re.search(rb"(?m)^Version: (\S+)$", part)
        if name and version:
            yield name[1].decode("latin-1"), version[1].decode("latin-1")
