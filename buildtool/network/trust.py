"""Trust: a step takes our certificate for one of its authorities, and its layer never shows it.

What a step does in a world that trusts us it does over a layer of ours above its base:
the certificate where an administrator would put it, and the base's bundles of
certificates with ours appended.  What it wrote is then compared with the base as it
is, after `remove` took out what had found its way there.
"""

import os
import stat
from collections.abc import Iterator

from buildtool.layers.entry import parent_of
from buildtool.layers.tree import Node, Stack
from buildtool.network import keystore
from buildtool.network.authority import authority
from buildtool.network.mark import HASH, NAME, TARGET, Trust
from buildtool.network.traces import remove

__all__ = ["Trust", "inject", "remove"]

_ALIAS = "buildtool-recorded-internet"

#: Where update-ca-certificates (Debian, Alpine, SUSE) finds what to add to the bundle that it makes.
_LOCAL = b"usr/local/share/ca-certificates/" + NAME + b".crt"
#: Where update-ca-trust (Fedora and its kin) does.
_ANCHORS = b"etc/pki/ca-trust/source/anchors"
_CERTIFICATES = b"etc/ssl/certs"
_BUNDLES = (
    b"etc/ssl/certs/ca-certificates.crt",
    b"etc/ssl/cert.pem",
    b"etc/ssl/ca-bundle.pem",
    b"etc/pki/tls/certs/ca-bundle.crt",
    b"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    b"var/lib/ca-certificates/ca-bundle.pem",
)
_KEYSTORES = (
    b"etc/ssl/certs/java/cacerts",
    b"etc/pki/java/cacerts",
    b"opt/java/openjdk/lib/security/cacerts",
)
#: Programs that bring bundles of their own, or read the system's only when they are told to.
_VARIABLES = (
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PERL_LWP_SSL_CA_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
_LARGEST = 16 << 20


def inject(folder_of_authority: str, base: Stack, folder: str) -> Trust:
    """Make the layer of trust for a base in `folder`, which is empty.

    `folder_of_authority` is that of the user's certificate authority (`Settings.authority`).
    """
    own = authority(folder_of_authority)
    made = _Layer(folder, base)
    made.add(_LOCAL, own.pem)
    if made.is_folder(_ANCHORS):
        made.add(_ANCHORS + b"/" + NAME + b".pem", own.pem)
    if base.lookup(base.resolve(_BUNDLES[0])) is not None and made.is_folder(_CERTIFICATES):
        made.link(_CERTIFICATES + b"/" + NAME + b".pem", b"/" + _LOCAL)
        made.link(_CERTIFICATES + b"/" + HASH, NAME + b".pem")
    mine = tuple(made.paths)
    made.paths.clear()
    for path, node in _files(base, _BUNDLES):
        text = _read(node)
        made.add(path, text + (b"" if text.endswith(b"\n") or not text else b"\n") + own.pem, node)
    for path, node in _files(base, _KEYSTORES):
        text = _read(node)
        try:
            made.add(path, keystore.adding(text, _ALIAS, own.der, 0), node)
        except keystore.NotAKeystore:
            # Of another kind or with a password of its own: a step's Java does not trust us then.
            continue
    made.finish()
    env = tuple((name, TARGET) for name in _VARIABLES)
    return Trust(folder, env, TARGET, own.pem, own.der, mine, tuple(made.paths), made.new)


def _files(base: Stack, paths: tuple[bytes, ...]) -> Iterator[tuple[bytes, Node]]:
    """The regular files that the paths lead to, each once."""
    seen = set()
    for path in paths:
        found = base.resolve(path)
        node = base.lookup(found)
        if node is not None and node.is_file and node.stat.st_size <= _LARGEST and found not in seen:
            seen.add(found)
            yield found, node


def _read(node: Node) -> bytes:
    with os.fdopen(node.open(), "rb") as file:
        return file.read(_LARGEST + 1)


class _Layer:
    """A folder in overlayfs form, in which the folders above each file are as in the base."""

    def __init__(self, folder: str, base: Stack) -> None:
        self._folder = os.fsencode(folder)
        self._base = base
        self._folders: dict[bytes, Node | None] = {}
        self.paths: list[bytes] = []

    def is_folder(self, path: bytes) -> bool:
        """Whether the base has a folder at the path."""
        node = self._base.lookup(self._base.resolve(path))
        return node is not None and node.is_dir

    @property
    def new(self) -> tuple[bytes, ...]:
        """The folders that the base does not have, parents last."""
        return tuple(sorted((path for path, node in self._folders.items() if node is None), reverse=True))

    def add(self, path: bytes, content: bytes, like: Node | None = None) -> None:
        """A file, with the owner, mode and time of another one."""
        full = self._place(path)
        with open(full, "xb") as file:
            file.write(content)
        _dress(full, like, 0o644)

    def link(self, path: bytes, target: bytes) -> None:
        """A symbolic link."""
        os.symlink(target, self._place(path))

    def finish(self) -> None:
        """Give every folder the metadata that it has in the base; new ones are as made now."""
        for path in sorted(self._folders, reverse=True):
            _dress(self._folder + b"/" + path, self._folders[path], 0o755)

    def _place(self, path: bytes) -> bytes:
        """Where a file goes, the folders above it made."""
        folder = self._base.resolve(parent_of(path))
        missing = []
        above = folder
        while above not in self._folders:
            missing.append(above)
            if not above:
                break
            above = parent_of(above)
        for each in reversed(missing):
            self._folders[each] = self._base.lookup(each)
            if each:
                os.mkdir(self._folder + b"/" + each)
        name = path.rpartition(b"/")[2]
        where = folder + b"/" + name if folder else name
        self.paths.append(where)
        return self._folder + b"/" + where


def _dress(full: bytes, like: Node | None, mode: int) -> None:
    if like is None:
        os.chmod(full, mode)
        return
    os.chown(full, like.stat.st_uid, like.stat.st_gid)
    os.chmod(full, stat.S_IMODE(like.stat.st_mode))
    os.utime(full, ns=(like.stat.st_mtime_ns, like.stat.st_mtime_ns))
