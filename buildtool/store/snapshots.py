"""Snapshots: unpacked layers, kept to be lower directories of overlayfs.

A snapshot is named by the chain id of its layer (image-spec, "Layer ChainID"),
because an overlay's upper directory means something only on top of what it was
made over.  Snapshots are not synced to disk: the folder that holds them is named
after the boot of the machine, and those of another boot do not count.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest, hex_of, sha256
from buildtool.store.faults import store_fault
from buildtool.store.scratch import Scratch, remove_tree
from buildtool.store.stamps import refresh

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def chain_id(parent: Digest | None, diff_id: Digest) -> Digest:
    """The chain id of a layer over the chain `parent` (None: at the bottom)."""
    return diff_id if parent is None else sha256(f"{parent} {diff_id}".encode())


@dataclass(frozen=True, slots=True)
class Staged:
    """A private folder on the snapshots' file system: `fs` to fill, `work` for overlayfs."""

    path: str

    @property
    def fs(self) -> str:
        return f"{self.path}/fs"

    @property
    def work(self) -> str:
        return f"{self.path}/work"


class Snapshots:
    """The folder `snapshots` of a store."""

    def __init__(self, root: str, scratch: Scratch, lock: str) -> None:
        self.root = root
        self._scratch = scratch
        self._lock = lock
        self._folder: str | None = None

    @property
    def folder(self) -> str:
        """Where the snapshots of this boot are; what `short` names is relative to it."""
        if self._folder is None:
            folder = f"{self.root}/{boot_id()}"
            if not os.path.isdir(f"{folder}/l"):
                try:
                    os.makedirs(f"{folder}/l", 0o700, exist_ok=True)
                except OSError as exc:
                    raise store_fault(exc, "making the folder of snapshots") from exc
            self._folder = folder
        return self._folder

    def path(self, chain: Digest) -> str | None:
        """The snapshot's tree, to be a lower directory, or None; notes the use."""
        home = f"{self.folder}/{hex_of(chain)}"
        try:
            found = os.stat(home, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return f"{home}/fs" if refresh(home, found, self._lock) else None

    def short(self, chain: Digest) -> str:
        """A short name of the snapshot's tree, relative to `folder`, for overlay mount options.

        The whole name where the short one is taken by another chain.
        """
        whole = f"{hex_of(chain)}/fs"
        link = f"l/{hex_of(chain)[:16]}"
        try:
            return link if os.readlink(f"{self.folder}/{link}") == f"../{whole}" else whole
        except OSError:
            return whole

    @contextmanager
    def stage(self) -> Iterator[Staged]:
        """A private folder for one layer in the making; what is not adopted is removed in the end.

        `fs` is 0755 and the process's own, whatever the umask or the folder above says.
        """
        staged = Staged(self._scratch.name("stage"))
        try:
            for path in (staged.path, staged.fs, staged.work):
                os.mkdir(path, 0o700)
            os.chmod(staged.fs, 0o755)
        except OSError as exc:
            raise store_fault(exc, "making room for a layer") from exc
        try:
            yield staged
        finally:
            try:
                remove_tree(staged.path)
            except OSError:
                # Adopted already, or still busy as a mount: the next sweep takes what is left.
                pass

    def adopt(self, staged: Staged, chain: Digest) -> str:
        """Make a staged tree the snapshot of `chain`; the path of its tree.

        If another process was first, its snapshot stays and ours is removed at the
        end of `stage`.
        """
        home = f"{self.folder}/{hex_of(chain)}"
        try:
            _clear(staged.work)
            os.rename(staged.path, home)
        except OSError as exc:
            if not os.path.isdir(f"{home}/fs"):
                raise store_fault(exc, "keeping an unpacked layer") from exc
            return f"{home}/fs"
        try:
            os.symlink(f"../{hex_of(chain)}/fs", f"{self.folder}/l/{hex_of(chain)[:16]}")
        except OSError:
            # Taken, or no room for it: `short` falls back to the whole name.
            pass
        return f"{home}/fs"

    def chains(self) -> list[Digest]:
        """The snapshots of this boot, in order."""
        return [Digest(f"sha256:{name}") for name in sorted(os.listdir(self.folder)) if len(name) == 64]

    def remove(self, chain: Digest) -> None:
        """Remove a snapshot if it is there.

        BuildError `needs-namespace` when its files belong to subordinate users: then
        only a process inside their user namespace can do it.
        """
        home = f"{self.folder}/{hex_of(chain)}"
        link = f"{self.folder}/l/{hex_of(chain)[:16]}"
        gone = self._scratch.name("gone")
        try:
            os.rename(home, gone)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise store_fault(exc, "removing an unpacked layer") from exc
        try:
            if os.readlink(link) == f"../{hex_of(chain)}/fs":
                os.unlink(link)
        except FileNotFoundError:
            pass
        _remove_or_explain(gone)

    def strangers(self) -> list[str]:
        """Folders of snapshots that other boots made; nothing in them is trusted."""
        here = os.path.basename(self.folder)
        return [f"{self.root}/{name}" for name in sorted(os.listdir(self.root)) if name != here]


def _remove_or_explain(path: str) -> None:
    try:
        remove_tree(path)
    except PermissionError as exc:
        raise BuildError(
            "needs-namespace",
            "an unpacked layer has files of subordinate users, which only their user namespace may remove",
            hint="it is no longer used; the next rootless build removes it",
            exit_status=1,
        ) from exc


def _clear(work: str) -> None:
    """Remove overlayfs's work folder, so that a snapshot holds nothing but its tree."""
    if os.path.isdir(work):
        remove_tree(work)


def boot_id() -> str:
    """The kernel's name for this boot of the machine."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError as exc:
        raise BuildError("no-proc", f"{_BOOT_ID} cannot be read", hint="mount /proc", exit_status=1) from exc
