"""`python -m benchmarks [NAME ...]`: run workloads with ours and with buildah, in turns, and print a table.

Everything lies in a temporary folder that goes away in the end.  The exit status
is 1 if a budget was not kept and `--strict` was given, 2 if the machine lacks something.
"""

import argparse
import os
import shutil
import sys
import tempfile

from benchmarks import report
from benchmarks.builders import Builder, Ours, buildah
from benchmarks.contexts import Missing
from benchmarks.measure import CommandFailed, Cost
from benchmarks.workloads import WORKLOADS, Workload


def main() -> int:
    """Run what the command line names."""
    options = _parser().parse_args()
    other = None if options.ours else buildah()
    builders: list[Builder] = [Ours(), other] if other else [Ours()]
    chosen = [w for w in WORKLOADS if not options.name or w.name in options.name]
    kept = True
    print(report.heading(), flush=True)
    for workload in chosen:
        with tempfile.TemporaryDirectory(prefix="buildtool-bench-", dir=options.folder) as folder:
            try:
                rounds = _measure(workload, builders, options.rounds, folder)
            except (Missing, CommandFailed) as error:
                print(error, file=sys.stderr)
                return 2
        print("\n".join(report.rows(workload, rounds)), flush=True)
        kept = kept and report.within(workload, rounds)
    if other is None and not options.ours:
        print("(buildah is not installed: no comparison)")
    return 1 if options.strict and not kept else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(w.name for w in WORKLOADS)
    parser.add_argument(
        "name", nargs="*", help=f"workloads: {names}", choices=[*(w.name for w in WORKLOADS), []]
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each [default: 5]")
    parser.add_argument("--folder", metavar="DIR", help="where temporary files go [default: $TMPDIR]")
    parser.add_argument("--ours", action="store_true", help="without buildah")
    parser.add_argument("--strict", action="store_true", help="fail if a budget is not kept")
    return parser


def _measure(workload: Workload, builders: list[Builder], rounds: int, folder: str) -> dict[str, list[Cost]]:
    """The costs of each builder; the builders take turns, so that a busy machine is busy for both."""
    context = f"{folder}/context"
    os.mkdir(context)
    workload.make(context)
    found: dict[str, list[Cost]] = {b.name: [] for b in builders}
    if workload.warm:
        for builder in builders:
            builder.build(context, f"{folder}/{builder.name}")
    for _ in range(rounds):
        for builder in builders:
            state = f"{folder}/{builder.name}"
            # What was written before must not be written back meanwhile.
            os.sync()
            found[builder.name].append(builder.build(context, state))
            if not workload.warm:
                shutil.rmtree(state)
    return found


if __name__ == "__main__":
    sys.exit(main())
