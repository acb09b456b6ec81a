"""One process of a step as an OCI runtime configuration (runtime-spec 1.0), as Docker would give it.

Pure: a `Process` and a few facts about the machine go in, the document comes out.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from buildtool.diag import BuildError
from buildtool.sandbox import seccomp

#: What Docker leaves to root; a process of another user has them in its bounding set only.
CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

#: All that there are, each at the place of its number (capability.h).
_NUMBERED = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
    PERFMON BPF CHECKPOINT_RESTORE
"""

_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

#: Where the clock library is seen; in the fresh /dev, so that no layer can hold it.
CLOCK_TARGET = "/dev/.buildtool/clock.so"


class NetworkNamespace(Protocol):
    """A network namespace that a path names, and the /etc/resolv.conf of processes in it."""

    @property
    def path(self) -> str: ...
    @property
    def resolver(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HostMount:
    """What a process sees at `target`: a file or folder of ours, or a tmpfs of at most `size` bytes.

    A mount of kind `data` is a file of these bytes, in memory, with the mode and owner.
    """

    target: str
    source: str = ""
    read_only: bool = True
    kind: Literal["bind", "tmpfs", "data"] = "bind"
    size: int | None = None
    data: bytes = field(default=b"", repr=False)
    mode: int = 0o400
    owner: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Process:
    """A process as a step asks for it.

    `argv`, `env` and `cwd` are seen as they stand here; ids are numbers.  `clock` is the
    instant in whole seconds that it sees, and with it the processors of `cpus`; None for the
    machine's own clock and processors.  `architecture` is OCI's name (`amd64`, `arm64`).  An
    `insecure` process has every capability and system call that we have ourselves, and sees all
    of /proc and /sys.  `terminal` is its size in rows and columns, for a process that has one; a
    process whose root is `read_only` writes to its mounts alone.  Programs of a `randomised` one
    lie at random places in memory, as everywhere but in steps.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    hostname: str
    mounts: tuple[HostMount, ...]
    network: NetworkNamespace | Literal["host"]
    clock: int | None
    architecture: str
    insecure: bool = False
    terminal: tuple[int, int] | None = None
    read_only: bool = False
    randomised: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What the configuration must know of the place where it is used.

    `open_files` is a soft and a hard limit; `filter` the seccomp program that crun
    made of the profile before, base64, or empty; `capabilities` the mask of our own.
    """

    user_namespace: bool
    open_files: tuple[int, int]
    filter: str = ""
    capabilities: int = 0


def config(process: Process, rootfs: str, binds: tuple[HostMount, ...], machine: Machine) -> dict[str, Any]:
    """The config.json of `process` in `rootfs`; `binds` are the sandbox's own mounts, above the others."""
    document: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": rootfs, "readonly": process.read_only},
        "hostname": process.hostname,
        "process": _process(process, machine),
        "mounts": [
            *_system_mounts(machine.user_namespace and process.network == "host", process.insecure),
            *(_mount(m) for m in process.mounts),
            *(_mount(m) for m in binds),
        ],
        "linux": {
            "namespaces": _namespaces(process),
            "maskedPaths": [] if process.insecure else list(_MASKED),
            "readonlyPaths": [] if process.insecure else list(_READ_ONLY),
        },
    }
    if process.randomised:
        document["linux"]["personality"] = {"domain": "LINUX"}
    if process.insecure:
        return document
    if machine.filter:
        document["annotations"] = {"run.oci.seccomp_bpf_data": machine.filter}
    elif (profile := seccomp.profile(process.architecture, rseq=process.clock is None)) is not None:
        document["linux"]["seccomp"] = profile
    return document


def _process(process: Process, machine: Machine) -> dict[str, Any]:
    env = [f"{name}={value}" for name, value in process.env]
    if process.clock is not None:
        env = _preloading(env)
    for text in (*process.argv, *env, process.cwd):
        if "\0" in text or not _is_unicode(text):
            raise BuildError("bad-process", f"a process cannot be given {text[:100]!r}")
    soft, hard = machine.open_files
    bounding = list(CAPABILITIES)
    if process.insecure:
        names = enumerate(_NUMBERED.split())
        bounding = [f"CAP_{name}" for n, name in names if machine.capabilities >> n & 1]
    held = bounding if process.uid == 0 else []
    size = process.terminal
    console = {"consoleSize": {"height": size[0], "width": size[1]}} if size else {}
    return {
        "terminal": size is not None,
        **console,
        "user": {
            "uid": process.uid,
            "gid": process.gid,
            "additionalGids": list(process.groups),
            "umask": 0o022,
        },
        "args": list(process.argv),
        "env": env,
        "cwd": process.cwd,
        "capabilities": {
            "bounding": bounding,
            "effective": held,
            "permitted": held,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}],
        "noNewPrivileges": False,
    }


def _preloading(env: list[str]) -> list[str]:
    """`env` with the clock library before what the image itself asks to be loaded."""
    name = "LD_PRELOAD="
    theirs = [e.removeprefix(name) for e in env if e.startswith(name)]
    others = [e for e in env if not e.startswith(name)]
    return [*others, name + ":".join([CLOCK_TARGET, *theirs[-1:]])]


def _namespaces(process: Process) -> list[dict[str, str]]:
    found = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    if process.network != "host":
        found.append({"type": "network", "path": process.network.path})
    return found


def _system_mounts(borrow_sys: bool, insecure: bool) -> list[dict[str, Any]]:
    access = "rw" if insecure else "ro"
    # Whoever does not own the network namespace may not mount a sysfs that shows it.
    sys: tuple[str, str, list[str]] = ("sysfs", "sysfs", ["nosuid", "noexec", "nodev", access])
    if borrow_sys:
        sys = ("none", "/sys", ["rbind", "nosuid", "noexec", "nodev", "ro"])
    return [
        _system("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        _system("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _system(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        _system("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        _system("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        _system("/sys", *sys),
    ]


def _system(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


def _mount(mount: HostMount) -> dict[str, Any]:
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", "mode=1777"]
        if mount.size is not None:
            options.append(f"size={mount.size}")
        if mount.read_only:
            options.append("ro")
        return _system(mount.target, "tmpfs", "tmpfs", options)
    options = ["rbind", "rprivate", "ro" if mount.read_only else "rw"]
    return _system(mount.target, "bind", mount.source, options)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
