"""One hermetic process over a root file system: bundle, generated files, mounts, and the runtime's run."""

import base64
import itertools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from buildtool.diag import BuildError
from buildtool.sandbox import bundle, clock, cpus, kernel, namespaces, overlay, runtime
from buildtool.sandbox.bundle import HostMount, Machine, Process
from buildtool.sandbox.mountpoints import MountPoints

if TYPE_CHECKING:
    from buildtool.sandbox.attended import Streams


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    `status` is its exit status, None if it was stopped for reaching out.  `injected` are the
    paths, relative to the root and parents first, that were made to mount things on.
    """

    status: int | None
    injected: tuple[bytes, ...]


class Sandbox:
    """Runs processes; any number of threads may use one.

    `state_dir` is a folder for the mount point of a tmpfs of ours.  The calling process
    must have its own mount namespace (`namespaces.prepare_worker`), else BuildError
    `no-namespaces`; without a runtime BuildError `no-oci-runtime`.
    """

    def __init__(self, state_dir: str, runtime_name: str | None = None) -> None:
        self.runtime = runtime.find(runtime_name)
        if not namespaces.is_isolated():
            raise BuildError("no-namespaces", "a sandbox needs a mount namespace of its own", exit_status=1)
        self._folder = tempfile.mkdtemp(prefix="sandbox-", dir=os.path.abspath(state_dir))
        # In memory, and gone with the mount namespace however this process ends.
        kernel.mount("sandbox", self._folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0700")
        self._state = os.path.join(self._folder, "state")
        os.mkdir(self._state, 0o700)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._filters: dict[tuple[str, bool], str] = {}
        self._in_user_namespace = overlay.xattr_prefix() == "user"
        self._open_files = namespaces.open_files()
        if self.runtime.is_crun:
            _hide_cgroups()

    def run(
        self,
        process: Process,
        rootfs: str,
        on_output: Callable[[bytes], None],
        cancel: threading.Event | None = None,
        *,
        stop: Callable[[], bool] | None = None,
    ) -> Ended:
        """Run `process` in `rootfs` until it ends, its output going to `on_output`.

        When `cancel` is set, the process is killed and BuildError `cancelled` raised; when
        `stop`, asked some twenty times a second, says so, it is killed and the status is None.
        BuildError `exec-failed`, `runtime-failed`, `bad-mount-point`.
        """
        with self._bundle() as (name, folder):
            points = MountPoints(rootfs)
            self._prepare(process, rootfs, folder, points)
            cancelled = runtime.when_set(cancel)
            stopped = stop or runtime.never
            try:
                status: int | None = runtime.run(
                    self.runtime,
                    state=self._state,
                    bundle=folder,
                    name=name,
                    on_output=on_output,
                    stop=lambda: cancelled() or stopped(),
                )
            except runtime.Stopped:
                if cancelled():
                    raise BuildError("cancelled", "the build was stopped", exit_status=1) from None
                status = None
            return Ended(status, tuple(points.made))

    def attend(self, process: Process, rootfs: str, streams: "Streams") -> int:
        """Run `process` with streams of its own and signals passed on; its exit status.

        BuildErrors as of `run`.
        """
        from buildtool.sandbox import attended

        with self._bundle() as (name, folder):
            self._prepare(process, rootfs, folder, MountPoints(rootfs))
            return attended.run(
                self.runtime,
                state=self._state,
                bundle=folder,
                name=name,
                streams=streams,
                terminal=process.terminal is not None,
            )

    @contextmanager
    def _bundle(self) -> Iterator[tuple[str, str]]:
        """The name of a container, and a folder in memory for what its runtime reads."""
        name = f"b{os.getpid()}-{next(self._numbers)}"
        folder = os.path.join(self._folder, name)
        os.mkdir(folder, 0o700)
        try:
            yield name, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare(self, process: Process, rootfs: str, folder: str, points: MountPoints) -> None:
        """Write the bundle, and make the mount points that it needs."""
        for path in ("/proc", "/dev", "/sys"):
            points.folder(path, keep=True)
        points.folder(process.cwd, owner=(process.uid, process.gid), keep=True)
        mounts = _placed(_with_files(process.mounts, folder), points)
        binds = []
        for path, text in (("/etc/hosts", _hosts(process)), ("/etc/resolv.conf", _resolver(process))):
            source = os.path.join(folder, os.path.basename(path))
            _write(source, text.encode())
            binds.append(HostMount(points.file(path), source, read_only=False))
        if process.clock is not None:
            binds.append(HostMount(bundle.CLOCK_TARGET, self._clock(process.architecture, process.clock)))
            binds += [] if process.insecure else _cpus(process.architecture, process.clock, folder)
        # The kernel sees the system calls of an emulator, so they are filtered as its own.
        process = replace(process, mounts=mounts, architecture=kernel.architecture())
        machine = Machine(
            self._in_user_namespace,
            self._open_files,
            self._filter(process),
            _own_capabilities() if process.insecure else 0,
        )
        document = bundle.config(process, rootfs, tuple(binds), machine)
        _write(os.path.join(folder, "config.json"), json.dumps(document, ensure_ascii=False).encode())

    def _clock(self, architecture: str, instant: int) -> str:
        """The clock library for an instant, as a file."""
        path = os.path.join(self._folder, f"clock-{architecture}-{instant}.so")
        with self._lock:
            if not os.path.exists(path):
                _write(path, clock.library(architecture, instant))
                os.chmod(path, 0o755)
        return path

    def _filter(self, process: Process) -> str:
        """The seccomp program for a process, base64: made once a kind, since making it takes 20 ms."""
        kind = process.architecture, process.clock is not None
        with self._lock:
            found = self._filters.get(kind)
            if found is None:
                found = self._filters[kind] = self._compile_filter(*kind)
        return found

    def _compile_filter(self, architecture: str, frozen: bool) -> str:
        if not self.runtime.takes_filters():
            return ""
        folder = os.path.join(self._folder, f"probe-{architecture}-{frozen}")
        root = os.path.join(folder, "root")
        os.makedirs(root)
        with open(os.path.join(root, "program"), "wb") as f:
            os.fchmod(f.fileno(), 0o755)
        instant = 0 if frozen else None
        idle = Process(("/program",), (), "/", 0, 0, (), "probe", (), "host", instant, architecture)
        machine = Machine(self._in_user_namespace, self._open_files)
        document = bundle.config(idle, root, (), machine)
        _write(os.path.join(folder, "config.json"), json.dumps(document).encode())
        name = os.path.basename(folder)
        program = runtime.seccomp_program(self.runtime, state=self._state, bundle=folder, name=name)
        shutil.rmtree(folder, ignore_errors=True)
        return base64.b64encode(program).decode()


def _cpus(architecture: str, instant: int, folder: str) -> list[HostMount]:
    """The files about processors, over those that are there: nothing can be added to /proc and /sys."""
    found = []
    for target, text in cpus.files(architecture, instant).items():
        if os.path.exists(target):
            source = os.path.join(folder, f"cpu-{os.path.basename(target)}")
            _write(source, text.encode())
            os.chmod(source, 0o444)
            found.append(HostMount(target, source))
    return found


def _with_files(mounts: tuple[HostMount, ...], folder: str) -> tuple[HostMount, ...]:
    """The mounts with those of bytes as files of `folder`, which is in memory."""
    found = []
    for n, mount in enumerate(mounts):
        if mount.kind == "data":
            source = os.path.join(folder, f"data-{n}")
            with open(source, "wb") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write(mount.data)
                os.fchown(f.fileno(), *mount.owner)
                os.fchmod(f.fileno(), mount.mode)
            mount = HostMount(mount.target, source, mount.read_only)
        found.append(mount)
    return tuple(found)


def _placed(mounts: tuple[HostMount, ...], points: MountPoints) -> tuple[HostMount, ...]:
    """The mounts with targets free of links, their mount points made.

    A target inside an earlier mount, or in /dev, /proc or /sys, is the runtime's to make.
    """
    covered = ["/dev", "/proc", "/sys"]
    found = []
    for mount in mounts:
        target = os.path.normpath("/" + mount.target.lstrip("/"))
        if not any(target == c or target.startswith(c + "/") for c in covered):
            is_file = mount.kind == "bind" and not os.path.isdir(mount.source)
            target = points.file(target) if is_file else points.folder(target)
        if target == "/":
            raise BuildError("bad-mount-target", "a mount cannot replace the root of a step")
        covered.append(target)
        found.append(replace(mount, target=target))
    return tuple(found)


def _own_capabilities() -> int:
    """The mask of what this process may do: nothing that it starts can do more."""
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as f:
        return next(int(line.split()[1], 16) for line in f if line.startswith("CapPrm:"))


def _hosts(process: Process) -> str:
    own = f"127.0.0.1\tlocalhost {process.hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    return own + _of_host("/etc/hosts") if process.network == "host" else own


def _resolver(process: Process) -> str:
    return _of_host("/etc/resolv.conf") if process.network == "host" else process.network.resolver


def _of_host(path: str) -> str:
    """A file of this machine, for a step that uses its network; empty if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read(1 << 20)
    except FileNotFoundError:
        return ""


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)


def _hide_cgroups() -> None:
    """Keep crun from looking at control groups unless they are the plain second version.

    It refuses machines that have both versions, even when told to leave them alone.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            fields = line.split()
            if fields[4] == "/sys/fs/cgroup" and fields[fields.index("-") + 1] == "cgroup2":
                return
    if os.path.isdir("/sys/fs/cgroup"):
        kernel.mount("none", "/sys/fs/cgroup", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755")
