"""Run inside a worker: `scenarios.py NAME FOLDER` carries one scenario out and prints what it saw as JSON.

`scenarios.py --spawn NAME FOLDER` starts the worker first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from buildtool.diag import BuildError
from buildtool.sandbox import namespaces, netns, overlay, run
from buildtool.sandbox.bundle import HostMount, Process

INSTANT = 315532800


class Place:
    """A base root file system, a sandbox, and steps over it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.base = self.make("base")
        self.sandbox = run.Sandbox(self.make("state"))
        self.overlays = overlay.Overlays(self.make("links"))
        self.lowers = [self.base]
        self.count = 0

    def make(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        return path

    def add_busybox(self) -> None:
        os.makedirs(self.base + "/bin")
        shutil.copy(shutil.which("busybox") or "", self.base + "/bin/busybox")
        os.symlink("busybox", self.base + "/bin/sh")

    def add_program(self, name: str) -> None:
        """A program of this machine with the libraries that it needs."""
        program = shutil.which(name) or ""
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in {program, *re.findall(r"(/\S+) \(0x", listed)}:
            target = self.base + path
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(path, target)

    def step(self, *argv: str, show: Callable[[bytes], None] | None = None, **more: Any) -> dict[str, Any]:
        """Run a command over the base; status, output, and the injected paths."""
        number = self.count
        self.count += 1
        upper, work, root = (self.make(f"{kind}{number}") for kind in ("upper", "work", "root"))
        self.overlays.mount(root, lowers=self.lowers, upper=upper, work=work)
        output: list[bytes] = []
        options: dict[str, Any] = {"cancel": more.pop("cancel", None), "stop": more.pop("stop", None)}
        fields: dict[str, Any] = {
            "argv": argv,
            "env": (("PATH", "/bin:/usr/bin"), ("HOME", "/root")),
            "cwd": "/",
            "uid": 0,
            "gid": 0,
            "groups": (),
            "hostname": "buildkitsandbox",
            "mounts": (),
            "network": "host",
            "clock": None,
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        }
        try:
            ended = self.sandbox.run(Process(**(fields | more)), root, show or output.append, **options)
        finally:
            self.overlays.unmount(root)
        return {
            "status": ended.status,
            "output": b"".join(output).decode(errors="replace"),
            "injected": [os.fsdecode(p) for p in ended.injected],
            "upper": upper,
        }

    def sh(self, script: str, **more: Any) -> dict[str, Any]:
        """A shell script whose commands are busybox's."""
        names = "cat env grep hostname id ls mkdir nc nslookup rm setsid sleep stat touch umount"
        aliases = "\n".join(f'{n}() {{ busybox {n} "$@"; }}' for n in names.split())
        return self.step("/bin/sh", "-c", f"{aliases}\n{script}", **more)


def world(place: Place) -> Any:
    """What a step sees of itself and of the machine."""
    place.add_busybox()
    with netns.Isolated() as network:
        return place.sh(
            "id -u; hostname; umask; ulimit -c; ulimit -n; cat /proc/self/personality; echo $$;"
            "ls /dev; ls -A /sys/fs/cgroup; ls /sys/class/net; cat /etc/hosts /etc/resolv.conf;"
            "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status; env;"
            "ls -l /proc/self/fd | grep -v '/proc/'; cat /dev/tty; cat /proc/sys/kernel/domainname;"
            "touch /sys/x; touch /proc/sys/x; umount /proc; exit 7",
            network=network,
        )


def user(place: Place) -> Any:
    """A process of another user, in a folder that is not there yet."""
    place.add_busybox()
    os.mkdir(place.base + "/srv")
    seen = place.sh(
        "id; grep Cap /proc/self/status; touch new; touch /srv/denied; stat -c '%u:%g %a' .",
        uid=33,
        gid=44,
        groups=(44, 45),
        cwd="/srv/work/here",
    )
    made = os.lstat(seen["upper"] + "/srv/work/here/new")
    return seen | {"owner": [made.st_uid, made.st_gid]}


def frozen(place: Place) -> Any:
    """A process under the clock library."""
    place.add_busybox()
    place.add_program("date")
    program = shutil.which("date") or ""
    seen = place.step(program, "+%s", clock=INSTANT)
    listed = place.step("/bin/busybox", "ls", "-A", "/dev/.buildtool", clock=INSTANT)
    again = place.step(program, "+%s", clock=INSTANT + 1)
    return [seen, listed, again]


def processors(place: Place) -> Any:
    """What programs of this machine, of either kind of linking, count in a step and outside of one."""
    place.add_busybox()
    for name in "lib", "lib64":
        if os.path.islink("/" + name):
            os.symlink(f"usr/{name}", f"{place.base}/{name}")
    probe = os.environ.get("PROBE")
    if probe:
        shutil.copy(probe, place.base + "/bin/probe")
    mounts = tuple(HostMount(p, p) for p in {"/usr", sys.base_prefix})
    python = os.path.realpath(sys.executable)
    folder = "/sys/devices/system/cpu"
    script = (
        "/usr/bin/nproc; /usr/bin/nproc --all; /usr/bin/getconf _NPROCESSORS_ONLN; "
        f"/usr/bin/getconf _NPROCESSORS_CONF; {python} -c 'import os;"
        "print(os.cpu_count(), sorted(os.sched_getaffinity(0)))'; grep -c ^processor /proc/cpuinfo;"
        f"grep -c '^cpu[0-9]' /proc/stat; grep btime /proc/stat; cat {folder}/online {folder}/possible"
        f" {folder}/present; if test -e /bin/probe; then /bin/probe; else echo right; fi"
    )
    count = "busybox nproc; grep Cpus_allowed_list /proc/self/status"
    found = {}
    for kind, options in {
        "step": {"clock": INSTANT},
        "insecure": {"clock": INSTANT, "insecure": True},
        "other": {"clock": None},
    }.items():
        found[kind] = place.sh(script, mounts=mounts, **options)["output"].splitlines()
        found[f"{kind} really"] = place.sh(count, **options)["output"].split()
    return found | {"machine": len(os.sched_getaffinity(0))}


def one_processor(place: Place) -> Any:
    """The same where a single processor may be used."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    return processors(place)


def reach(place: Place) -> Any:
    """Which commands reach out of a network namespace of their own."""
    place.add_busybox()
    found = {}
    for name, script in {
        "nothing": "true",
        "loopback": "nc -l -p 7 & sleep 0.3; echo hello | nc 127.0.0.1 7",
        "tcp": "nc -w 1 198.51.100.1 80 </dev/null",
        "name": "nslookup example.org",
    }.items():
        with netns.Isolated() as network:
            status = place.sh(script, network=network)["status"]
            found[name] = [status == 0, network.reached_out()]
    with netns.Isolated() as network:
        start = time.monotonic()
        ended = place.sh(
            "nc -w 1 198.51.100.1 80 </dev/null; sleep 300", network=network, stop=network.reached_out
        )
        found["stopped"] = [ended["status"], time.monotonic() - start < 60]
    return found


def mounts(place: Place) -> Any:
    """Mounts over what is there and what is not, and what they leave behind."""
    place.add_busybox()
    source = place.make("source")
    with open(source + "/file", "w") as f:
        f.write("content")
    os.symlink("/elsewhere", place.base + "/linked")
    seen = place.sh(
        "cat /in/file /only; touch /in/x && echo wrote; cat /elsewhere/deep/file;"
        "touch /tmp/t /scratch/deep/a; stat -c %a /tmp; cat /scratch/inner/file; echo >/out/made",
        mounts=(
            HostMount("/in", source),
            HostMount("/only", source + "/file"),
            HostMount("/linked/deep", source),
            HostMount("/tmp", kind="tmpfs", read_only=False),
            HostMount("/scratch", kind="tmpfs", read_only=False),
            HostMount("/scratch/deep", kind="tmpfs", size=65536, read_only=False),
            HostMount("/scratch/inner", source),
            HostMount("/out", place.make("out"), read_only=False),
        ),
    )
    left = sorted(os.listdir(seen["upper"]))
    return seen | {"left": left, "made": os.path.exists(place.folder + "/out/made")}


def output(place: Place) -> Any:
    """A lot of output, and a background process that keeps the pipe."""
    place.add_busybox()
    sizes: list[int] = []
    place.sh("busybox yes | busybox head -c 20000000", show=lambda data: sizes.append(len(data)))
    start = time.monotonic()
    quick = place.sh("setsid sleep 300 & sleep 300 & echo done")
    return {
        "bytes": sum(sizes),
        "largest": max(sizes),
        "pieces": len(sizes) > 10,
        "quick": quick["output"],
        "seconds": time.monotonic() - start,
    }


def stopping(place: Place) -> Any:
    """A process that is stopped, also one that was only about to begin."""
    place.add_busybox()
    found = []
    for delay in 0.0, 0.005, 0.3:
        cancel = threading.Event()
        timer = threading.Timer(delay, cancel.set)
        timer.start()
        start = time.monotonic()
        try:
            place.sh("trap '' TERM INT; sleep 301 & sleep 301", cancel=cancel)
        except BuildError as e:
            found.append([e.code, time.monotonic() - start < 30])
        timer.join()
    left = [pid for pid in os.listdir("/proc") if pid.isdecimal() and b"sleep\x00301" in _command_line(pid)]
    return {"found": found, "left": left, "after": place.sh("echo fine")["output"]}


def _command_line(pid: str) -> bytes:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read()
    return b""


def failures(place: Place) -> Any:
    """What cannot be started, against what fails by itself."""
    place.add_busybox()
    os.mkdir(place.base + "/folder")
    with open(place.base + "/text", "w") as f:
        f.write("#!/nonexistent\n")
    os.chmod(place.base + "/text", 0o755)
    found = []
    for argv in (
        ("/nonexistent",),
        ("nonexistent",),
        ("/folder",),
        ("/text",),
        ("/bin/busybox", "false"),
        ("/bin/sh", "-c", "busybox sh -c 'kill -9 $$'; exit $?"),
        ("/bin/sh", "-c", "exit 127"),
    ):
        try:
            found.append(place.step(*argv)["status"])
        except BuildError as e:
            found.append(e.code)
    return found


def layers(place: Place) -> Any:
    """Overlays: removing, replacing, opaque folders, as many as the kernel takes, and one too many."""
    place.add_busybox()
    os.makedirs(place.base + "/folder/sub")
    with open(place.base + "/gone", "w"):
        pass
    first = place.sh("rm /gone; rm -r /folder; mkdir /folder; echo new >/folder/file")
    upper = first["upper"]
    whiteout = os.lstat(upper + "/gone")
    prefix = overlay.xattr_prefix()
    opaque = os.getxattr(upper + "/folder", f"{prefix}.overlay.opaque")
    place.lowers.insert(0, upper)
    second = place.sh("ls /folder; ls /gone")
    view = place.make("view")
    place.overlays.mount_view(view, lowers=place.lowers)
    seen = sorted(os.listdir(view)), sorted(os.listdir(view + "/folder"))
    try:
        os.mkdir(view + "/no")
        writable = True
    except OSError:
        writable = False
    place.overlays.unmount(view)
    many = [place.make(f"a-folder-with-a-rather-long-name-to-fill-the-page/{n:064}") for n in range(498)]
    place.lowers[0:0] = many
    deep = place.sh("echo deep")["output"]
    place.lowers.append(place.make("one-too-many"))
    try:
        place.sh("true")
        refused = ""
    except BuildError as e:
        refused = e.code
    return {
        "whiteout": [whiteout.st_mode & 0o170000 == 0o020000, whiteout.st_rdev],
        "opaque": opaque.decode(),
        "second": second["output"],
        "view": seen,
        "writable": writable,
        "deep": deep,
        "refused": refused,
        "mounted": sum("overlay" in line for line in open("/proc/self/mounts")) - _overlays_before,
    }


def speed(place: Place) -> Any:
    """A hundred chained steps: seconds of CPU, of this process and all that it waited for."""
    place.add_busybox()
    start = sum(os.times()[:4])
    for n in range(100):
        with netns.Isolated() as network:
            done = place.step("/bin/sh", "-c", f"echo {n} >/{n}", network=network)
        place.lowers.insert(0, done["upper"])
    return sum(os.times()[:4]) - start


def parallel(place: Place) -> Any:
    """Steps side by side: each sees its own output and its own root."""
    place.add_busybox()
    lock = threading.Lock()
    found: dict[str, str] = {}

    def some(thread: int) -> None:
        for n in range(5):
            mark = f"{thread}-{n}"
            with netns.Isolated() as network:
                with lock:
                    own = Place.__new__(Place)
                    own.__dict__ = place.__dict__ | {"folder": place.make(mark), "count": 0}
                done = own.sh(f"echo {mark} >/mark; sleep 0.01; cat /mark; ls /", network=network)
            with lock:
                found[mark] = done["output"]

    threads = [threading.Thread(target=some, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def main(argv: list[str]) -> int:
    if argv[0] == "--spawn":
        worker = [sys.executable, os.path.abspath(__file__), *argv[1:]]
        return namespaces.spawn(worker, env=dict(os.environ)).wait()
    global _overlays_before
    namespaces.prepare_worker()
    with open("/proc/self/mounts") as f:
        _overlays_before = sum("overlay" in line for line in f)
    print(json.dumps(globals()[argv[0]](Place(argv[1]))))
    return 0


_overlays_before = 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
