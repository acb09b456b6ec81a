"""Mounts carried out: what each of them shows, made ready on this machine for as long as a process runs.

What lies inside a source is found by descriptor and bound to a place of ours before
the OCI runtime hears of it: neither a link in an image nor another step that changes
a shared cache meanwhile can turn a source into something outside.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from buildtool.diag import BuildError
from buildtool.digest import key_of
from buildtool.executor.steps.roots import overlaid, prepare_upper
from buildtool.executor.work import BindWork, CacheWork, MountWork, SecretWork, TmpfsWork, chain_ids
from buildtool.executor.workshop import Observer, Workshop
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import display
from buildtool.layers.tar import write_layer
from buildtool.layers.tree import Stack
from buildtool.layers.unpack import unpack
from buildtool.sandbox import kernel
from buildtool.sandbox.agent import forwarded
from buildtool.sandbox.bundle import HostMount

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process gets to see: mounts, and further variables, which win over the step's own."""

    mounts: tuple[HostMount, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@contextmanager
def mounted(
    mounts: Sequence[MountWork], shop: Workshop, observer: Observer, *, recording: bool
) -> Iterator[Seen]:
    """Make the mounts ready, and undo that at the end.

    While `recording`, caches begin anew: what they held already would not be asked for.
    """
    if not mounts:
        yield Seen()
        return
    env: list[tuple[str, str]] = []
    with ExitStack() as held:
        caches = _hold_caches(mounts, held, shop, observer, recording)
        found: list[HostMount] = []
        for mount in mounts:
            if isinstance(mount, SecretWork):
                if mount.env:
                    env.append((mount.env, _text(mount)))
                if not mount.target:
                    continue
            found.append(_source(mount, caches, held, shop, observer))
        yield Seen(tuple(found), tuple(env))


def _source(
    mount: MountWork, caches: dict[str, str], held: ExitStack, shop: Workshop, observer: Observer
) -> HostMount:
    """What one mount shows, as a mount of the sandbox."""
    if isinstance(mount, TmpfsWork):
        return HostMount(mount.target, kind="tmpfs", size=mount.size, read_only=mount.read_only)
    if isinstance(mount, SecretWork):
        owner = (mount.uid, mount.gid)
        return HostMount(mount.target, kind="data", data=mount.value.data, mode=mount.mode, owner=owner)
    if isinstance(mount, BindWork):
        root = held.enter_context(_view(mount, shop, observer))
    elif isinstance(mount, CacheWork):
        root = caches[_cache_name(mount)]
    else:
        socket = shop.store.temporary("agent")
        held.enter_context(forwarded(socket, mount.agent, mount.mode, (mount.uid, mount.gid)))
        return HostMount(mount.target, socket, read_only=False)
    place = held.enter_context(_inside(root, mount, shop)) if mount.path != "/" else root
    return HostMount(mount.target, place, mount.read_only)


def _text(secret: SecretWork) -> str:
    try:
        text = secret.value.data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BuildError("bad-secret", f"the secret for ${secret.env} is not a text, which a variable holds")
    return text


# ---------------------------------------------------------------- trees


@contextmanager
def _view(mount: BindWork, shop: Workshop, observer: Observer) -> Iterator[str]:
    """The tree of a bind mount, with an upper directory of its own where it can be written to."""
    lowers = shop.snapshots(mount.source, observer)
    if lowers and mount.read_only:
        view = shop.store.temporary("view")
        os.mkdir(view)
        shop.overlays.mount_view(view, lowers=lowers)
        try:
            yield view
        finally:
            shop.overlays.unmount(view)
            os.rmdir(view)
        return
    with shop.store.snapshots.stage() as staged, Stack(lowers, shop.xattr_prefix) as lower:
        prepare_upper(staged.fs, lower)
        with overlaid(shop, lowers, staged) as view:
            yield view


@contextmanager
def _inside(root: str, mount: BindWork | CacheWork, shop: Workshop) -> Iterator[str]:
    """What lies at the mount's path in a tree, bound to a place of ours."""
    with Stack([root], shop.xattr_prefix) as tree:
        inside = tree.resolve(mount.path.encode("utf-8", "surrogateescape"))
    try:
        fd = opened(root, inside)
    except (FileNotFoundError, NotADirectoryError):
        raise BuildError(
            "source-not-found",
            f"there is no {display(inside)} to mount at {mount.target}",
            exit_status=1,
        ) from None
    place = shop.store.temporary("mount")
    try:
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        if is_folder:
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        kernel.mount(f"/proc/self/fd/{fd}", place, None, kernel.MS_BIND)
    finally:
        os.close(fd)
    try:
        yield place
    finally:
        shop.overlays.unmount(place)
        os.rmdir(place) if is_folder else os.unlink(place)


def opened(root: str, path: bytes) -> int:
    """A descriptor of what is at a path without links; NotADirectoryError if there is one by now."""
    fd = os.open(root, _PATH)
    for name in path.split(b"/") if path else ():
        try:
            below = os.open(name, _PATH, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotADirectoryError
    return fd


# ---------------------------------------------------------------- caches


def _hold_caches(
    mounts: Sequence[MountWork], held: ExitStack, shop: Workshop, observer: Observer, recording: bool
) -> dict[str, str]:
    """The folders of all the caches, by name, theirs for as long as the process runs.

    They are taken in one order by all steps, so that no two wait for each other; a
    cache that is mounted twice is taken once, in the stricter way.
    """
    wanted: dict[str, CacheWork] = {}
    for mount in mounts:
        if isinstance(mount, CacheWork):
            other = wanted.get(name := _cache_name(mount))
            if other is None or other.sharing == "shared":
                wanted[name] = mount
    folders: dict[str, str] = {}
    for name in sorted(wanted):
        fill = partial(_fill, wanted[name], shop, observer)
        if recording:
            cache = shop.store.caches.anew(name, fill)
        else:
            cache = shop.store.caches.hold(name, wanted[name].sharing, fill, observer.cancel.is_set)
        folders[name] = held.enter_context(cache)
    return folders


def _cache_name(mount: CacheWork) -> str:
    """What tells caches apart: never a path, whatever the id looks like."""
    begins = mount.source and chain_ids(mount.source.layers)
    return key_of(
        {
            "cache": mount.id,
            "begins": begins[-1] if begins else None,
            "top": [mount.mode, mount.uid, mount.gid],
        }
    )


def _fill(mount: CacheWork, shop: Workshop, observer: Observer, path: str) -> None:
    """Make the folder of a new cache: the files that it begins with, or none and the mode and owner."""
    os.mkdir(path)
    attributes = (mount.mode, mount.uid, mount.gid) != (None, None, None)
    if mount.source is not None and not attributes:
        _copy(path, shop.snapshots(mount.source, observer), shop)
        return
    os.chown(path, mount.uid or 0, mount.gid or 0)
    os.chmod(path, 0o755 if mount.mode is None else mount.mode)


def _copy(path: str, lowers: list[str], shop: Workshop) -> None:
    """Put the files of a chain into an empty folder, by way of an archive of them."""
    archive = shop.store.temporary("copy")
    try:
        with Stack(lowers, shop.xattr_prefix) as tree, Stack([], shop.xattr_prefix) as nothing:
            draft = LayerDraft(nothing)
            for _, node in tree.walk():
                inode = node.inode if node.stat.st_nlink > 1 and not node.is_dir else None
                draft.add(node.entry(), node.content(), inode=inode)
            with open(archive, "wb") as out:
                written = write_layer(draft.entries(), compression=None, sink=out.write)
        with open(archive, "rb") as stream:
            unpack(stream, path, lowers=(), xattr_prefix=shop.xattr_prefix, expect=written.diff_id)
    finally:
        os.unlink(archive)
