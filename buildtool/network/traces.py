"""Traces of our certificate in what a step wrote: taken out, or an error that names the file."""

import base64
import mmap
import os
import stat
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.layers.descriptor import names_in, status_of
from buildtool.layers.entry import display, parent_of
from buildtool.layers.finish import FinishSpec, Upper, restore_time
from buildtool.layers.tree import Stack, XattrPrefix, is_whiteout
from buildtool.network import keystore
from buildtool.network.mark import NAME, Trust

#: Bytes of the certificate that are looked for: far from any that two certificates have in common.
_NEEDLE = 18
#: Where lines of base64 are broken: at 64 letters (PEM) or 76 (MIME).
_WRAPS = (64, 76)
#: What looks for certificates in the folder of our file; Debian's package makes the folder with it.
_TOOL = b"usr/sbin/update-ca-certificates"
#: Where programs tell what they did with our file; lines that name it go.
_LOGS = b"var/log/"
#: Larger files are looked through, but not mended.
_LARGEST = 64 << 20


def remove(trust: Trust, upper: str, base: Stack, xattr_prefix: XattrPrefix) -> None:
    """Take every trace of the certificate out of what a step wrote; to be called before `finish`.

    `upper` is the unmounted upper folder, `base` the stack without the layer of trust.
    BuildError `certificate-in-layer`, naming the file, where a trace cannot be taken out.
    """
    needles = _needles(trust.certificate)
    with Upper(upper, base, FinishSpec(0, 0, xattr_prefix=xattr_prefix)) as tree:
        for path in trust.own:
            _unhide(tree, base, path)
        for path, status, fd in tree.walk():
            name = path.rpartition(b"/")[2]
            if stat.S_ISLNK(status.st_mode):
                if NAME in os.readlink(name, dir_fd=fd).rpartition(b"/")[2]:
                    _drop(tree, path)
                continue
            sought = (*needles, NAME) if path.startswith(_LOGS) else needles
            if stat.S_ISREG(status.st_mode) and status.st_size >= _NEEDLE and _holds(name, fd, sought):
                if path in trust.own:
                    _drop(tree, path)
                else:
                    _Mending(trust, base, sought).mend(path, name, fd, status)
        _withdraw_folders(tree, trust, base)


def _withdraw_folders(tree: Upper, trust: Trust, base: Stack) -> None:
    """Remove empty folders that were made for our file; where its tool is, they are the tool's own."""
    if tree.status(_TOOL) is not None or base.lookup(_TOOL) is not None:
        return
    for path in trust.folders:
        fd = tree.folder(path)
        if fd is None:
            continue
        try:
            is_empty = not names_in(fd)
        finally:
            os.close(fd)
        if is_empty:
            _drop(tree, path)


def _drop(tree: Upper, path: bytes) -> None:
    """Remove what is ours, and leave the folder as if it had not been there."""
    tree.drop(path)
    restore_time(tree, parent_of(path))


def _unhide(tree: Upper, base: Stack, path: bytes) -> None:
    """Remove the whiteout of a file that only we had put there."""
    parent, _, name = path.rpartition(b"/")
    fd = tree.folder(parent)
    if fd is None:
        return
    try:
        status = status_of(name, fd)
        if status is not None and is_whiteout(status) and base.lookup(path) is None:
            os.unlink(name, dir_fd=fd)
            restore_time(tree, parent)
    finally:
        os.close(fd)


def _needles(der: bytes) -> tuple[bytes, ...]:
    """What the certificate is found by: bytes of its key, and letters that they are in base64."""
    text = base64.b64encode(der)
    middle = len(text) // 2
    length = _NEEDLE * 4 // 3
    at = next(
        at
        for at in range(middle, len(text))
        if all(at // wrap == (at + length - 1) // wrap for wrap in _WRAPS)
    )
    return der[len(der) // 2 : len(der) // 2 + _NEEDLE], text[at : at + length]


def _holds(name: bytes, fd: int, needles: tuple[bytes, ...]) -> bool:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(needle) >= 0 for needle in needles)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class _Mending:
    """Writes files as they would be if we had not been there."""

    trust: Trust
    base: Stack
    needles: tuple[bytes, ...]

    def mend(self, path: bytes, name: bytes, fd: int, status: os.stat_result) -> None:
        """Take the certificate out of a file, which keeps its times."""
        if status.st_size > _LARGEST:
            raise _found(path)
        file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        with os.fdopen(file, "r+b") as stream:
            mended = self._without(path, stream.read())
            if any(needle in mended for needle in self.needles):
                raise _found(path)
            stream.seek(0)
            stream.write(mended)
            stream.truncate()
            stream.flush()
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _without(self, path: bytes, content: bytes) -> bytes:
        if path in self.trust.copies and content == _content(os.fsencode(self.trust.lower) + b"/" + path):
            # As we put it there; the step changed no more than its owner, mode or time.
            with os.fdopen(self.base.open(path), "rb") as file:
                return file.read()
        if keystore.is_keystore(content):
            try:
                return keystore.removing(content, self.trust.certificate)
            except keystore.NotAKeystore:
                return content
        content = content.replace(self.trust.file, b"")
        if path.startswith(_LOGS):
            content = b"".join(row for row in content.splitlines(keepends=True) if NAME not in row)
        return content


def _content(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _found(path: bytes) -> BuildError:
    return BuildError(
        "certificate-in-layer",
        f"the step wrote the certificate of its recorded internet into {display(path)}",
        hint="copy no bundle of certificates into other formats in a step that uses the network, "
        "or run it with --network=host",
        exit_status=1,
    )
