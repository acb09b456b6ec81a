"""Processes in a sandbox, as root and as an ordinary user: what they see, and what becomes of them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SCENARIOS = Path(__file__).with_name("scenarios.py")
INSTANT = 315532800

needs_root = pytest.param("root", marks=pytest.mark.root)

Scenario = Callable[..., Any]


@pytest.fixture(params=[needs_root, "user"])
def scenario(request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """Carry out a scenario of scenarios.py in a worker of root, and of an ordinary user."""
    for program in "crun", "busybox":
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
            pytest.skip(f"no {program}")
    folder = tempfile.mkdtemp(prefix="buildtool-sandbox-")
    command = [sys.executable, str(SCENARIOS), "--spawn"]
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root")

        def go(name: str, **env: str) -> Any:
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCENARIOS.parents[3]), **env}
            done = subprocess.run(
                [*command, name, folder], env=env, capture_output=True, text=True, timeout=120
            )
            return _answer(done)
    else:
        user = request.getfixturevalue("ordinary_user")
        os.chown(folder, user.uid, user.gid)
        script = Path(folder) / "scenarios.py"
        shutil.copy(SCENARIOS, script)
        os.chmod(script, 0o644)
        path = user.environment.get("PYTHONPATH", str(SCENARIOS.parents[3]))

        def go(name: str, **env: str) -> Any:
            place = os.path.join(folder, "place")
            return _answer(
                user.run(["python", str(script), "--spawn", name, place], env={"PYTHONPATH": path, **env})
            )

    yield go
    _remove(folder)


def _answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _remove(folder: str) -> None:
    # Files of subordinate ids are root's to remove; as an ordinary user what is left is small.
    shutil.rmtree(folder, ignore_errors=True)


def test_what_a_step_sees(scenario: Scenario) -> None:
    seen = scenario("world")
    rows = seen["output"].splitlines()
    no_randomization = "00040000"
    assert rows[:7] == ["0", "buildkitsandbox", "0022", "0", "1024", no_randomization, "1"]
    devices = "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    at = 7 + len(devices.split())
    assert rows[7:at] == devices.split()
    assert rows[at : at + 5] == [
        "lo",
        "127.0.0.1\tlocalhost buildkitsandbox",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "nameserver 192.0.2.1",
        "options timeout:1 attempts:1",
    ]
    text = seen["output"]
    dockers = "00000000a80425fb"
    assert f"CapEff:\t{dockers}\nCapBnd:\t{dockers}\nCapAmb:\t{'0' * 16}\n" in text
    assert f"CapInh:\t{'0' * 16}\n" in text
    assert "Seccomp:\t2\n" in text
    assert "NoNewPrivs:\t0\n" in text
    assert "PATH=/bin:/usr/bin\n" in text
    assert "LD_PRELOAD" not in text
    environment = {r.split("=")[0] for r in rows if r.split("=")[0].isupper() and "=" in r}
    assert environment <= {"PATH", "HOME", "PWD", "SHLVL", "OLDPWD"}
    assert [r.split(" -> ")[1].split(":")[0] for r in rows if " -> " in r] == ["/dev/null", "pipe", "pipe"]
    assert "/dev/tty': No such device" in text
    assert "(none)\n" in text
    assert "/sys/x: Read-only file system" in text
    assert "/proc/sys/x: Read-only file system" in text or "/proc/sys/x: No such file" in text
    assert "can't unmount /proc" in text
    assert seen["status"] == 7
    assert seen["injected"] == ["etc", "etc/hosts", "etc/resolv.conf"]
    assert sorted(os.listdir(seen["upper"])) == ["dev", "etc", "proc", "sys"]


def test_a_process_of_another_user(scenario: Scenario) -> None:
    seen = scenario("user")
    assert seen["output"].startswith("uid=33 gid=44 groups=44,45\n")
    assert "CapEff:\t0000000000000000\nCapBnd:\t00000000a80425fb\n" in seen["output"]
    assert "/srv/denied: Permission denied" in seen["output"]
    assert "33:44 755\n" in seen["output"]
    if os.geteuid() == 0:
        inside = seen["owner"][0]
        assert inside == 33 or inside > 1000


def test_the_clock_library_is_loaded(scenario: Scenario) -> None:
    first, listed, later = scenario("frozen")
    assert (first["status"], first["output"]) == (0, f"{INSTANT}\n")
    assert listed["output"] == "clock.so\n"
    assert later["output"] == f"{INSTANT + 1}\n"
    assert os.listdir(first["upper"] + "/dev") == []


def test_reaching_out_is_noticed(scenario: Scenario) -> None:
    found = scenario("reach")
    assert found == {
        "nothing": [True, False],
        "loopback": [True, False],
        "tcp": [False, True],
        "name": [False, True],
        "stopped": [None, True],
    }


def test_mounts_and_what_they_leave(scenario: Scenario) -> None:
    seen = scenario("mounts")
    assert seen["status"] == 0
    assert seen["output"].startswith("contentcontent")
    assert "wrote" not in seen["output"]
    assert seen["output"].endswith("content1777\ncontent")
    assert seen["made"]
    assert {"in", "only", "elsewhere", "elsewhere/deep", "tmp", "scratch", "out"} <= set(seen["injected"])
    assert seen["left"] == ["dev", "elsewhere", "etc", "in", "only", "out", "proc", "scratch", "sys", "tmp"]


def test_output_streams_and_nothing_left_behind_holds_it(scenario: Scenario) -> None:
    seen = scenario("output")
    assert seen["bytes"] == 20_000_000
    assert seen["largest"] <= 65536
    assert seen["pieces"]
    assert seen["quick"] == "done\n"
    assert seen["seconds"] < 60


def test_stopping(scenario: Scenario) -> None:
    seen = scenario("stopping")
    assert seen == {"found": [["cancelled", True]] * 3, "left": [], "after": "fine\n"}


def test_what_cannot_start_is_told_from_what_fails(scenario: Scenario) -> None:
    assert scenario("failures") == [*["exec-failed"] * 3, 1, 1, 137, 127]


def test_overlays(scenario: Scenario) -> None:
    seen = scenario("layers")
    assert seen["whiteout"] == [True, 0]
    assert seen["opaque"] == "y"
    assert "file\n" in seen["second"]
    assert "sub" not in seen["second"]
    assert "/gone: No such file" in seen["second"]
    assert seen["view"] == [["bin", "dev", "etc", "folder", "proc", "sys"], ["file"]]
    assert not seen["writable"]
    assert seen["deep"] == "deep\n"
    assert seen["refused"] == "too-many-layers"
    assert seen["mounted"] == 0


def test_steps_side_by_side(scenario: Scenario) -> None:
    found = scenario("parallel")
    assert len(found) == 30
    for mark, output in found.items():
        assert output == f"{mark}\nbin\ndev\netc\nmark\nproc\nsys\n"


def test_a_hundred_steps(scenario: Scenario) -> None:
    # The promise is four seconds for the whole build; a busy machine hardly changes those of CPU.
    assert scenario("speed") < 4


@pytest.fixture(scope="session")
def probe() -> Iterator[str]:
    """A program that asks in every way, where an ordinary user finds it; empty without a compiler."""
    if shutil.which("cc") is None:
        yield ""
        return
    folder = tempfile.mkdtemp(prefix="buildtool-probe-")
    os.chmod(folder, 0o755)
    source = SCENARIOS.with_name("cpus_probe.c")
    subprocess.run(["cc", "-O1", "-pthread", "-o", f"{folder}/probe", source], check=True)
    yield f"{folder}/probe"
    _remove(folder)


@pytest.mark.parametrize("program", ["crun", "runc"])
@pytest.mark.parametrize("machine", ["processors", "one_processor"])
def test_a_step_sees_four_processors_and_uses_those_there_are(
    scenario: Scenario, probe: str, machine: str, program: str
) -> None:
    if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
        pytest.skip(f"no {program}")
    seen = scenario(machine, PROBE=probe, BUILDTOOL_RUNTIME=program)
    real = seen["machine"]
    if machine == "one_processor":
        assert real == 1
    asked = ["4", "4", "4", "4", "4 [0, 1, 2, 3]"]
    assert seen["step"] == [*asked, "4", "4", f"btime {INSTANT}", "0-3", "0-3", "0-3", "right"]
    # Whoever may do everything sees /proc and /sys as they are.
    insecure = seen["insecure"]
    assert insecure[:5] == asked
    assert insecure[5:] != seen["step"][5:]
    assert insecure[-1] == "right"
    assert seen["other"][0] == str(real)
    assert seen["other"][7:8] != [f"btime {INSTANT}"]
    # No program is kept from any processor, and one without libraries counts them.
    assert seen["step really"] == seen["insecure really"] == seen["other really"]
    assert seen["step really"][0] == str(real)


def test_runc_serves_as_well(scenario: Scenario) -> None:
    if shutil.which("runc", path=os.environ["PATH"] + ":/usr/sbin") is None:
        pytest.skip("no runc")
    assert scenario("failures", BUILDTOOL_RUNTIME="runc") == [*["exec-failed"] * 3, 1, 1, 137, 127]
