"""Overlay mounts of snapshots, in the mount namespace of the caller.

A snapshot is the upper directory of the step that made it; a step's root file
system is its base's snapshots, topmost first, below an empty upper directory of
its own.  What the upper directory holds afterwards is what the step changed.

The kernel takes all options of a mount on one page of 4096 bytes, and allows
500 lower directories.  So they are named by short symbolic links in a folder of
ours, relative to it: a thread that mounts has a working directory of its own
(unshare(2), CLONE_FS) and goes there for the moment of the call.
"""

import errno
import itertools
import os
import threading
from collections.abc import Sequence
from typing import Literal

from buildtool.diag import BuildError
from buildtool.sandbox import kernel, namespaces

#: What the kernel allows (OVL_MAX_STACK).
MOST_LOWERS = 500

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def xattr_prefix() -> Literal["trusted", "user"]:
    """The namespace of the overlay's own extended attributes for mounts that this process makes.

    Only the machine's root may write `trusted` ones.
    """
    return "user" if namespaces.rootless() else "trusted"


class Overlays:
    """Makes and removes overlay mounts; any number of threads may use one.

    `folder` is a private directory that stays for as long as the object is used.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._options = _options()
        self._names: dict[str, str] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._thread = threading.local()

    def mount(self, target: str, *, lowers: Sequence[str], upper: str, work: str) -> None:
        """Mount `lowers`, topmost first, below `upper` at `target`.

        `work` is an empty directory on the file system of `upper`; neither may have
        been part of a mount before.  Without lowers `upper` alone is seen.  All
        paths are absolute.  BuildError `overlay-failed` if the kernel refuses.
        """
        if not lowers:
            self._bind(upper, target)
            return
        stack = ":".join(self._name(path) for path in lowers)
        top, scratch = self._link(upper), self._link(work)
        try:
            options = f"lowerdir={stack},upperdir={top},workdir={scratch},{self._options},volatile"
            self._mount(target, options, len(lowers))
        finally:
            os.unlink(top, dir_fd=self._folder)
            os.unlink(scratch, dir_fd=self._folder)

    def mount_view(self, target: str, *, lowers: Sequence[str]) -> None:
        """Mount `lowers`, topmost first, at `target` so that nobody can write to them."""
        if len(lowers) == 1:
            self._bind(lowers[0], target)
            kernel.mount(None, target, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY)
            return
        stack = ":".join(self._name(path) for path in lowers)
        self._mount(target, f"lowerdir={stack},{self._options}", len(lowers))

    def unmount(self, target: str) -> None:
        """Undo a mount; one that is still in use is detached and goes when it can."""
        try:
            kernel.unmount(target)
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
            kernel.unmount(target, kernel.MNT_DETACH)

    def close(self) -> None:
        """Give up the folder; mounts stay."""
        os.close(self._folder)

    def _bind(self, source: str, target: str) -> None:
        kernel.mount(source, target, None, kernel.MS_BIND)

    def _mount(self, target: str, options: str, count: int) -> None:
        if count > MOST_LOWERS:
            raise BuildError(
                "too-many-layers",
                f"the kernel stacks at most {MOST_LOWERS} layers; this image has {count}",
                exit_status=1,
            )
        if not getattr(self._thread, "alone", False):
            kernel.unshare(kernel.CLONE_FS)
            self._thread.alone = True
        before = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            os.fchdir(self._folder)
            kernel.mount("overlay", target, "overlay", 0, options)
        except OSError as e:
            raise _refused(e) from None
        finally:
            os.fchdir(before)
            os.close(before)

    def _name(self, path: str) -> str:
        """The link to a snapshot: made once, then kept, since chains of steps share their lowers."""
        with self._lock:
            name = self._names.get(path)
        if name is None:
            name = self._link(path)
            with self._lock:
                self._names[path] = name
        return name

    def _link(self, path: str) -> str:
        name = _short(next(self._numbers))
        os.symlink(path, name, dir_fd=self._folder)
        return name


def _options() -> str:
    # The kernel refuses userxattr together with any of the others; it implies what they say.
    if xattr_prefix() == "user":
        return "userxattr"
    return "redirect_dir=nofollow,metacopy=off,index=off"


def _short(number: int) -> str:
    digits = _DIGITS[number % 36]
    while number := number // 36:
        digits = _DIGITS[number % 36] + digits
    return digits


def _refused(error: OSError) -> BuildError:
    hint = ""
    if error.errno == errno.EINVAL:
        hint = (
            "overlayfs needs a store on an ordinary file system (ext4, xfs, btrfs, tmpfs), not on an overlay"
        )
    elif error.errno == errno.ENODEV:
        hint = "this kernel has no overlayfs; as root: modprobe overlay"
    elif error.errno == errno.EPERM:
        hint = "overlayfs in a user namespace needs Linux 5.11 or newer"
    return BuildError(
        "overlay-failed", f"cannot mount an overlay: {error.strerror}", hint=hint, exit_status=1
    )
