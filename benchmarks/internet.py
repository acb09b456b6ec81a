"""`python -m benchmarks.internet`: what recording and replaying a step costs, against the host's network.

The step is the one of examples/python-app: `apt-get update` and an installation of some 100
packages. The three ways take turns, so that a busy machine or mirror is busy for all. The exit
status is 1 if `--strict` was given and recording cost more than a tenth, or replaying was no faster.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.measure import CommandFailed, Cost, cost_of, median

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_EXAMPLE = f"{_ROOT}/examples/python-app"
#: How often recording may take as long as the host's network.
_MOST = 1.1

#: The ways that a step can go, with the options of a build that make it go so.
_WAYS: dict[str, tuple[str, ...]] = {
    "host": ("--network=host", "--allow=network.host", "--no-lock"),
    "record": ("--no-lock",),
    "replay": ("--offline",),
}


def main() -> int:
    """Measure, and print a table."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="buildtool-bench-", dir=options.folder) as folder:
        try:
            found = _measure(folder, options.rounds)
        except CommandFailed as error:
            print(error, file=sys.stderr)
            return 2
    medians = {way: median(costs) for way, costs in found.items()}
    host = medians["host"].wall
    print(f"{'way':<8} {'wall s':>8} {'cpu s':>8} {'peak MB':>8} {'of host':>8}   walls")
    for way, cost in medians.items():
        walls = " ".join(f"{c.wall:.1f}" for c in found[way])
        figures = f"{cost.wall:>8.1f} {cost.cpu:>8.1f} {cost.peak:>8.0f} {cost.wall / host:>8.2f}"
        print(f"{way:<8} {figures}   {walls}")
    kept = medians["record"].wall <= _MOST * host and medians["replay"].wall < host
    return 1 if options.strict and not kept else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.internet", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each [default: 3]")
    parser.add_argument("--folder", metavar="DIR", help="where temporary files go [default: $TMPDIR]")
    parser.add_argument("--strict", action="store_true", help="fail if a budget is not kept")
    return parser


def _measure(folder: str, rounds: int) -> dict[str, Sequence[Cost]]:
    """The costs of each way; the base is unpacked, and the answers are in the store, before the first."""
    shutil.copytree(_EXAMPLE, f"{folder}/app")
    layout = ("-o", f"type=oci,dest={folder}/base,tar=false")
    _build(folder, ":base", "-t", "base", *layout)
    context = (f"{folder}/app", f"--build-context=ubuntu:20.04=oci-layout://{folder}/base")
    os.unlink(f"{folder}/app/buildtool.lock")
    _build(folder, *context)
    found: dict[str, list[Cost]] = {way: [] for way in _WAYS}
    for _ in range(rounds):
        for way, options in _WAYS.items():
            found[way].append(_build(folder, *context, "--no-cache", *options))
    return dict(found)


def _build(folder: str, *arguments: str) -> Cost:
    argv = [sys.executable, "-m", "buildtool", "build", "--progress=plain", *arguments]
    env = {**os.environ, "BUILDTOOL_STORE": f"{folder}/store", "PYTHONPATH": _ROOT}
    here = os.getcwd()
    try:
        os.chdir(f"{folder}/app")
        return cost_of(argv, env, f"{folder}/log")
    finally:
        os.chdir(here)


if __name__ == "__main__":
    sys.exit(main())
