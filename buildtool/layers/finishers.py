"""The finishers: each mends one known source of nondeterminism in the files that a step wrote.

docs/design/finishers.md describes them for users; a change in what one does
raises its version.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from buildtool.layers.descriptor import names_in
from buildtool.layers.finish import SECOND, Upper
from buildtool.layers.gitindex import forgetful
from buildtool.layers.npmindex import settled


@dataclass(frozen=True, slots=True)
class Finisher:
    """A named mending; `run` gives the paths that it changed or dropped."""

    name: str
    version: int
    run: Callable[[Upper], Iterable[bytes]]

    @property
    def description(self) -> str:
        """What it does, in one sentence."""
        return (self.run.__doc__ or "").partition("\n")[0]


_APT_CACHES = (b"var/cache/apt/pkgcache.bin", b"var/cache/apt/srcpkgcache.bin")
_AUX_CACHE = b"var/cache/ldconfig/aux-cache"
_MACHINE_IDS = (b"etc/machine-id", b"var/lib/dbus/machine-id")
#: Bytes: the index of a tree with a million files has a hundred times a million.
_LARGEST_INDEX = 256 << 20
_PYC_HEADER = struct.Struct("<4sIII")  # magic, flags, source mtime, source size (PEP 552)


def _apt_caches(tree: Upper) -> Iterator[bytes]:
    """Drop apt's binary package caches, which hold times and addresses and are made again on use."""
    return _drop_written(tree, _APT_CACHES)


def _ldconfig_aux_cache(tree: Upper) -> Iterator[bytes]:
    """Drop ldconfig's auxiliary cache, which holds inode numbers and times and is made again on use."""
    return _drop_written(tree, (_AUX_CACHE,))


def _drop_written(tree: Upper, paths: tuple[bytes, ...]) -> Iterator[bytes]:
    for path in paths:
        if tree.written(path) is not None:
            tree.drop(path)
            yield path


def _git_index(tree: Upper) -> Iterator[bytes]:
    """Take times and inode numbers of files out of the indexes of git; git compares contents, once."""
    indexes = [path for path, _, _ in tree.walk() if path.endswith(b"/index") and b".git/" in path]
    return _rewrite_written(tree, indexes, forgetful)


def _rewrite_written(
    tree: Upper, paths: Iterable[bytes], mend: Callable[[bytes], bytes | None]
) -> Iterator[bytes]:
    """Put what `mend` makes of them, unless that is None, into those files that the step wrote."""
    found = [(path, status) for path in paths if (status := tree.written(path)) is not None]
    for path, status in sorted(found):
        fd = tree.open(path, os.O_RDWR) if status.st_size <= _LARGEST_INDEX else None
        if fd is None:
            continue
        with open(fd, "r+b") as file:
            data = file.read()
            mended = mend(data)
            if mended is None or mended == data:
                continue
            os.pwrite(fd, mended, 0)
            os.ftruncate(fd, len(mended))
            os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
        yield path


def _machine_id(tree: Upper) -> Iterator[bytes]:
    """Empty the random machine id that a step wrote; an empty one is filled in at first boot."""
    for path in _MACHINE_IDS:
        status = tree.written(path)
        if status is None or status.st_size == 0:
            continue
        fd = tree.open(path, os.O_WRONLY | os.O_TRUNC)
        if fd is not None:
            os.close(fd)
            yield path


def _node_compile_cache(tree: Upper) -> Iterator[bytes]:
    """Drop what node keeps of compiled code in its default place: it is other bytes in each run."""
    paths = [path for path, _, _ in tree.walk() if path.startswith(b"tmp/node-compile-cache/")]
    return _drop_written(tree, tuple(sorted(paths)))


def _npm_cache(tree: Upper) -> Iterator[bytes]:
    """Put the index of npm's cache in order, each entry once, and drop what npm left there half done."""
    paths = [path for path, _, _ in tree.walk() if b"/_cacache/" in path]
    yield from _drop_written(tree, tuple(sorted(path for path in paths if b"/_cacache/tmp/" in path)))
    yield from _rewrite_written(tree, (path for path in paths if b"/_cacache/index-v5/" in path), settled)


def _npm_logs(tree: Upper) -> Iterator[bytes]:
    """Drop npm's logs of its own runs, which hold process ids and durations."""
    for home in (b"root", *(b"home/" + name for name in _names(tree, b"home"))):
        folder = home + b"/.npm/_logs"
        yield from _drop_written(tree, tuple(folder + b"/" + name for name in _names(tree, folder)))


def _pip_wheels(tree: Upper) -> Iterator[bytes]:
    """Drop wheels that pip built itself and kept, which hold the times at which their files were made."""
    paths = [path for path, _, _ in tree.walk() if b"/.cache/pip/wheels/" in path]
    return _drop_written(tree, tuple(sorted(path for path in paths if path.endswith(b".whl"))))


def _names(tree: Upper, path: bytes) -> list[bytes]:
    """What the step has in a folder, sorted; nothing where it has none."""
    fd = tree.folder(path)
    if fd is None:
        return []
    try:
        return names_in(fd)
    finally:
        os.close(fd)


def _pyc_mtime(tree: Upper) -> Iterator[bytes]:
    """Rewrite the source time in Python bytecode to the normalised time of the source, so that it is used."""
    done: set[int] = set()
    compiled = [
        (path, status) for path, status, _ in tree.walk() if path.endswith(b".pyc") and status.st_size >= 16
    ]
    for path, status in sorted(compiled):
        # Python links equal bytecode of several optimisation levels: one file, several names.
        if status.st_ino not in done and _rewrite_pyc(tree, path, status):
            done.add(status.st_ino)
            yield path


def _rewrite_pyc(tree: Upper, path: bytes, status: os.stat_result) -> bool:
    fd = tree.open(path, os.O_RDWR)
    if fd is None:
        return False
    try:
        _, flags, recorded, _ = _PYC_HEADER.unpack(os.pread(fd, _PYC_HEADER.size, 0))
        if flags != 0:
            return False  # checked by hash, or never
        wanted = _source_time(tree, path, recorded)
        if wanted == recorded:
            return False
        os.pwrite(fd, struct.pack("<I", wanted), 8)
        os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
    finally:
        os.close(fd)
    return True


def _source_time(tree: Upper, path: bytes, recorded: int) -> int:
    """The source time that bytecode should have which has `recorded` now."""
    source = _source_of(path)
    ours = tree.status(source)
    below = tree.lower.lookup(source) if ours is None else None
    if ours is not None:
        before, after = ours.st_mtime_ns // SECOND, tree.spec.time_of(ours.st_mtime_ns)
    elif below is not None:
        before = after = below.mtime
    else:
        before = after = -1
    if recorded == before & 0xFFFFFFFF:
        return after & 0xFFFFFFFF
    if recorded >= tree.spec.window_start_ns // SECOND:
        # Stale, or its source is gone, and the time is the machine's: no source has the time 0.
        return 0
    return recorded


def _source_of(path: bytes) -> bytes:
    """The source of a .pyc: beside it, or beside the __pycache__ it lies in (PEP 3147)."""
    folder, slash, name = path.rpartition(b"/")
    above, _, last = folder.rpartition(b"/")
    if last == b"__pycache__":
        stem = name.split(b".", 1)[0]
        return (above + b"/" if above else b"") + stem + b".py"
    return folder + slash + name[:-1]


#: Every finisher by its name.
FINISHERS = {
    f.name: f
    for f in (
        Finisher("apt-caches", 1, _apt_caches),
        Finisher("git-index", 1, _git_index),
        Finisher("ldconfig-aux-cache", 1, _ldconfig_aux_cache),
        Finisher("machine-id", 1, _machine_id),
        Finisher("node-compile-cache", 1, _node_compile_cache),
        Finisher("npm-cache", 1, _npm_cache),
        Finisher("npm-logs", 1, _npm_logs),
        Finisher("pip-wheels", 1, _pip_wheels),
        Finisher("pyc-mtime", 1, _pyc_mtime),
    )
}
