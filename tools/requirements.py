"""Writes the lock files: every version and the hashes of its files, for all platforms and Pythons.

Needs `uv` on the path, and is run by hand (`make requirements`) when dependencies move.
The files name no index: where packages come from is the business of the machine that installs.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# {what} Written by `make requirements`; install with `pip install --require-hashes`.\n"
#: Compiles the clock library where there is no C compiler.
ZIG = "ziglang>=0.13"


def main() -> int:
    """Write the four files, each within the versions that the ones before it chose."""
    uv = shutil.which("uv")
    if uv is None:
        print("make requirements needs uv: python3 -m pip install uv", file=sys.stderr)
        return 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "requirements.txt": ("What buildtool runs on.", project["project"]["dependencies"]),
        "requirements-build.txt": (
            "What builds buildtool's own package.",
            project["build-system"]["requires"],
        ),
        "requirements-dev.txt": ("What the tests need besides.", project["dependency-groups"]["dev"]),
        "requirements-zig.txt": ("A C compiler from PyPI, for machines without one.", [ZIG]),
    }
    done: list[Path] = []
    for name, (what, requirements) in wanted.items():
        text = _compile(uv, requirements, done)
        path = ROOT / name
        path.write_text(HEADER.format(what=what) + text)
        done.append(path)
    return 0


def _compile(uv: str, requirements: list[str], constraints: list[Path]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "in.txt"), Path(folder, "out.txt")
        source.write_text("\n".join(requirements) + "\n")
        command = [uv, "pip", "compile", "--quiet", "--no-config", "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-find-links"]
        command += [a for path in constraints for a in ("--constraint", str(path))]
        subprocess.run([*command, str(source), "--output-file", str(result)], check=True)
        return result.read_text()


if __name__ == "__main__":
    sys.exit(main())
