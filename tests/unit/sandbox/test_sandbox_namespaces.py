"""Workers in namespaces of their own: how they start, end, and fail to start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from buildtool.diag import BuildError
from buildtool.sandbox import namespaces, overlay, runtime

ROOT = str(Path(__file__).resolve().parents[3])

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def _read(fd: int) -> bytes:
    with open(fd, "rb") as f:
        return f.read()


def _shell(script: str, **more: Any) -> tuple[int, bytes]:
    reading, writing = os.pipe()
    try:
        child = namespaces.spawn(["/bin/sh", "-c", script], stdout=writing, **more)
    finally:
        os.close(writing)
    output = _read(reading)
    return child.wait(), output


@pytest.mark.root
@root_only
def test_a_worker_of_root() -> None:
    status, output = _shell("echo $$ $(id -u) $(cat /proc/sys/kernel/domainname); exit 3")
    assert (status, output) == (3, b"1 0 (none)\n")


def test_a_worker_of_an_ordinary_user(ordinary_user: Any) -> None:
    program = (
        "import json,os,sys\n"
        "from buildtool.sandbox import namespaces, overlay\n"
        "if sys.argv[1:] == ['in']:\n"
        "    namespaces.prepare_worker()\n"
        "    os.chown(sys.argv[0], 0, 0)\n"
        "    print(json.dumps([os.getpid(), os.getuid(), os.getgroups(), namespaces.rootless(),\n"
        "                      overlay.xattr_prefix(), open('/proc/self/uid_map').read().split()]))\n"
        "else:\n"
        "    print(json.dumps(namespaces.rootless()))\n"
        "    sys.stdout.flush()\n"
        "    sys.exit(namespaces.spawn([sys.executable, sys.argv[0], 'in'], env=os.environ).wait())\n"
    )
    script = ordinary_user.home / "worker.py"
    script.write_text(program)
    os.chown(script, ordinary_user.uid, ordinary_user.gid)
    path = ordinary_user.environment.get("PYTHONPATH", ROOT)
    done = ordinary_user.run(["python", str(script)], env={"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    outside, inside = map(json.loads, done.stdout.splitlines())
    assert outside is True
    pid, uid, groups, rootless, prefix, ids = inside
    assert (pid, uid, groups, rootless, prefix) == (1, 0, [], True, "user")
    assert ids[:3] == ["0", str(ordinary_user.uid), "1"]
    assert ids[3] == "1"


@pytest.mark.root
@root_only
def test_mounts_inside_are_not_seen_outside(tmp_path: Path) -> None:
    status, output = _shell(f"mount -t tmpfs none {tmp_path} && touch {tmp_path}/x && ls {tmp_path}")
    assert (status, output) == (0, b"x\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
@root_only
def test_passed_descriptors_arrive_and_no_others() -> None:
    reading, writing = os.pipe()
    status, output = _shell(
        f"echo hello >/proc/self/fd/{writing}; ls /proc/self/fd | wc -l", pass_fds=[writing]
    )
    os.close(writing)
    assert _read(reading) == b"hello\n"
    # 0, 1, 2, the passed one, and the folder that ls itself reads.
    assert (status, output.strip()) == (0, b"5")


@pytest.mark.root
@root_only
def test_a_signal_is_an_exit_status() -> None:
    assert _shell("exec sh -c 'sh -c \"kill -9 \\$\\$\"'")[0] == 128 + signal.SIGKILL


@pytest.mark.root
@root_only
def test_closing_the_handle_kills_all_of_it() -> None:
    child = namespaces.spawn(["/bin/sh", "-c", "sleep 4711 & setsid sleep 4711 & wait"])
    time.sleep(0.1)
    assert child.poll() is None
    child.close()
    assert child.process.wait(60) == 128 + signal.SIGKILL
    assert not _running("4711")


@pytest.mark.root
@root_only
def test_killing_the_parent_kills_the_worker(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from buildtool.sandbox import namespaces\n"
        "child = namespaces.spawn(['/bin/sh', '-c', 'sleep 4712 & wait'])\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={"PYTHONPATH": ROOT}
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(1000):
        if not _running("4712"):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def _running(mark: str) -> bool:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[:2] == [b"sleep", mark.encode()]:
            return True
    return False


# ---------------------------------------------------------------- refusals


@pytest.mark.root
@root_only
def test_a_program_that_is_not_there() -> None:
    with pytest.raises(BuildError) as caught:
        namespaces.spawn(["/nonexistent"])
    assert caught.value.code == "worker-failed"
    assert "No such file" in caught.value.message


@pytest.mark.root
@root_only
def test_root_without_the_right_to_make_namespaces() -> None:
    program = (
        "from buildtool.sandbox import namespaces\n"
        "from buildtool.diag import BuildError\n"
        "try: namespaces.spawn(['true'])\n"
        "except BuildError as e: print(e.code, '|', e.hint)\n"
    )
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", program],
        env={"PYTHONPATH": ROOT, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("no-namespaces | inside a container")


def test_a_user_without_subordinate_ids(ordinary_user: Any, tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("somebody:100000:65536\nodd line\n:::\n")
    with pytest.raises(BuildError) as caught:
        namespaces._subordinate(str(tmp_path / "subuid"))
    assert caught.value.code == "no-subordinate-ids"
    assert "usermod --add-subuids" in caught.value.hint


def test_subordinate_ids_of_name_and_number(tmp_path: Path) -> None:
    import pwd

    uid = os.geteuid()
    name = pwd.getpwuid(uid).pw_name
    (tmp_path / "subuid").write_text(f"{name}:100000:10\nother:5:5\n{uid}:300000:20\n{name}:7:0\n")
    assert namespaces._subordinate(str(tmp_path / "subuid")) == [(100000, 10), (300000, 20)]


def test_no_newuidmap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *a, **k: None)
    with pytest.raises(BuildError) as caught:
        namespaces._maps()
    assert caught.value.code == "no-newuidmap"
    assert caught.value.hint == "as root: apt-get install uidmap"


def test_a_sandbox_wants_a_mount_namespace_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from buildtool.sandbox.run import Sandbox

    monkeypatch.delenv("BUILDTOOL_NAMESPACE", raising=False)
    monkeypatch.setattr(runtime, "find", lambda name: runtime.Runtime("/usr/bin/crun", True))
    with pytest.raises(BuildError) as caught:
        Sandbox(str(tmp_path))
    assert caught.value.code == "no-namespaces"


# ---------------------------------------------------------------- the runtime


def test_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILDTOOL_RUNTIME", raising=False)
    monkeypatch.setattr("shutil.which", lambda *a, **k: None)
    with pytest.raises(BuildError) as caught:
        runtime.find()
    assert (caught.value.code, caught.value.hint) == ("no-oci-runtime", "as root: apt-get install crun")


def test_the_runtime_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **k: f"/opt/{name}")
    monkeypatch.delenv("BUILDTOOL_RUNTIME", raising=False)
    assert runtime.find() == runtime.Runtime("/opt/crun", True)
    assert runtime.find("runc") == runtime.Runtime("/opt/runc", False)
    monkeypatch.setenv("BUILDTOOL_RUNTIME", "runc")
    assert runtime.find() == runtime.Runtime("/opt/runc", False)


def test_overlays_know_their_attributes() -> None:
    assert overlay.xattr_prefix() == ("user" if namespaces.rootless() else "trusted")
