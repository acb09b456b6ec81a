"""`make demo`: builds the example two ways, then runs it in the images that came out.

Each command is shown as a person would type it; what it prints is its own.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "python-app"

#: The example's targets: its Dockerfile unchanged, and the same application without a Dockerfile.
TARGETS = (
    (":app", "the Dockerfile of the example, unchanged"),
    (":small", "the same application, declared without a Dockerfile"),
)


def main() -> int:
    """Run the commands one after the other; stop at the first that fails, with its status."""
    if not EXAMPLE.is_dir():
        print(f"{EXAMPLE} is not there: this is no whole checkout", file=sys.stderr)
        return 1
    for target, what in TARGETS:
        _headline(f"Build {what}")
        status = _buildtool("build", target, "-t", _name(target))
        if status != 0:
            return status
    for target, what in TARGETS:
        _headline(f"Run {what}")
        status = _buildtool("run", _name(target), "python3", "my-app.py")
        if status != 0:
            return status
    return 0


def _name(target: str) -> str:
    return f"python-app{target.replace(':', '-')}:latest"


def _headline(text: str) -> None:
    print(f"\n# {text}", flush=True)


def _buildtool(*arguments: str) -> int:
    print("$ buildtool " + shlex.join(arguments), flush=True)
    command = (sys.executable, "-m", "buildtool", *arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=EXAMPLE, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
