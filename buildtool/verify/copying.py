"""Copies of a source folder elsewhere, with its entries in another order."""

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from buildtool.verify.perturb import Order

_SEED = 20_011


def copy_tree(source: str, target: str, order: Order = "") -> None:
    """Copy a folder with its links, hard links, pipes and modes; entries are made in the order asked for.

    Sockets and devices, which no build can copy, are left out, and so is a `target` that
    lies in the source.
    """
    made: dict[tuple[int, int], bytes] = {}
    shuffled = random.Random(_SEED)
    top = os.fsencode(os.path.realpath(target))
    folders: list[tuple[bytes, int]] = []

    def walk(here: bytes, there: bytes) -> None:
        os.mkdir(there, 0o700)
        folders.append((there, stat.S_IMODE(os.stat(here).st_mode)))
        entries = sorted(os.scandir(here), key=lambda e: e.name, reverse=order == "reversed")
        if order == "shuffled":
            shuffled.shuffle(entries)
        for entry in entries:
            path = there + b"/" + entry.name
            if entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) != top:
                    walk(entry.path, path)
            else:
                _copy(entry.path, path, made)

    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    walk(os.fsencode(source), os.fsencode(target))
    for folder, mode in reversed(folders):
        os.chmod(folder, mode)


def _copy(here: bytes, there: bytes, made: dict[tuple[int, int], bytes]) -> None:
    found = os.lstat(here)
    kind = found.st_mode
    if stat.S_ISLNK(kind):
        os.symlink(os.readlink(here), there)
    elif stat.S_ISFIFO(kind):
        os.mkfifo(there)
        os.chmod(there, stat.S_IMODE(kind))
    elif stat.S_ISREG(kind):
        first = made.setdefault((found.st_dev, found.st_ino), there)
        if first is not there:
            os.link(first, there)
            return
        shutil.copyfile(here, there)
        os.chmod(there, stat.S_IMODE(kind))


def give(folder: str, uid: int, gid: int) -> None:
    """Let all of a folder belong to a user."""
    os.chown(folder, uid, gid)
    for here, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            os.chown(here + b"/" + name, uid, gid, follow_symlinks=False)


@contextmanager
def disordered(folder: str, shown: str, order: Order) -> Iterator[str]:
    """The folder where it lists its entries in another order: at `shown`, by disorderfs, if that can be had.

    Elsewhere it is the folder itself, whose order is what its file system makes of the copy.
    """
    program = shutil.which("disorderfs")
    if not order or program is None:
        yield folder
        return
    os.makedirs(shown)
    how = "--reverse-dirents=yes" if order == "reversed" else "--shuffle-dirents=yes"
    users = "--multi-user=yes" if os.geteuid() == 0 else "--multi-user=no"
    mounted = subprocess.run([program, "--quiet", users, how, folder, shown], capture_output=True)
    try:
        yield shown if mounted.returncode == 0 else folder
    finally:
        if mounted.returncode == 0:
            subprocess.run(["fusermount", "-u", "-z", shown], capture_output=True, check=True)
