"""A whole step in the sandbox with a recorded internet, as root and as an ordinary user."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).with_name("step_scenario.py")


def _as_root(folder: Path) -> subprocess.CompletedProcess[str]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCENARIO.parents[3])}
    argv = [sys.executable, str(SCENARIO), "--spawn", str(folder / "place")]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)


def _as_user(folder: Path, user: Any) -> subprocess.CompletedProcess[str]:
    os.chown(folder, user.uid, user.gid)
    script = folder / "scenario.py"
    shutil.copy(SCENARIO, script)
    script.chmod(0o644)
    path = user.environment.get("PYTHONPATH", str(SCENARIO.parents[3]))
    argv = ["python", str(script), "--spawn", str(folder / "place")]
    done: subprocess.CompletedProcess[str] = user.run(argv, env={"PYTHONPATH": path})
    return done


@pytest.mark.parametrize("who", [pytest.param("root", marks=pytest.mark.root), "user"])
def test_a_step_records_and_replays(who: str, request: pytest.FixtureRequest) -> None:
    import tempfile

    for program in "crun", "busybox", "curl":
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
            pytest.skip(f"no {program}")
    folder = Path(tempfile.mkdtemp(prefix="buildtool-network-"))
    try:
        if who == "root":
            done = _as_root(folder)
        else:
            done = _as_user(folder, request.getfixturevalue("ordinary_user"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    expected = "nameserver 192.0.2.1\npage /file\npage /file\npage /other\nrefused\n"
    for turn in "first", "second":
        assert seen[turn]["output"] == expected
        assert seen[turn]["status"] == 0
        # No file of ours, no whiteout of one; the bundle was touched, so it is in the layer.
        assert seen[turn]["left"] == ""
        assert [path for path in seen[turn]["layer"] if "usr/local" in path] == []
        assert {"out/copy.pem", "out/own", "etc/ssl/certs/ca-certificates.crt"} <= set(seen[turn]["layer"])
    assert seen["places"] == ["public:file", "public:other"]
    assert seen["same"]
    assert seen["refused"] == ["db.example port 5432"]
