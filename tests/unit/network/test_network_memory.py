"""A body of any size passes through a bounded amount of memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).with_name("memory_scenario.py")


@pytest.mark.parametrize("megabytes", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_large_body_is_not_kept_in_memory(tmp_path: Path, megabytes: int) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SCENARIO.parents[3])}
    done = subprocess.run(
        [sys.executable, str(SCENARIO), str(tmp_path), str(megabytes)],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40
