"""The worker is of the same installation as the process that starts it."""

import os
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[3]


def test_the_worker_is_found_where_only_pythonpath_leads_to_the_code(tmp_path: Path) -> None:
    # The interpreter itself knows neither the code nor what it needs: there is no virtual environment.
    python = os.path.realpath(sys.executable)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(click.__file__).parent.parent)]),
        "BUILDTOOL_STORE": str(tmp_path / "store"),
    }
    done = subprocess.run(
        [python, "-m", "buildtool", "build", "-q", str(context)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sha256:")
