"""`python -m benchmarks.registries`: an image of 300 MB to and from docker-registry on loopback.

Pushing and pulling are timed beside `skopeo copy` of the same (from and to an image
layout), pulling and unpacking beside `buildah pull`: ours is a build whose one step
runs on the image.  Each begins with nothing.  The exit status is 1 if `--strict` was
given and a budget was not kept.
"""

import argparse
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.measure import CommandFailed, Cost, cost_of, median

#: The most that our time may be of theirs.
_BUDGETS = {"push": 1.0, "pull": 1.0, "unpack": 0.6}
_MEMORY = 150.0
_LAYERS, _FILES, _FILE = 6, 400, 125_000


def main() -> int:
    """Measure, and print a table."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="buildtool-bench-", dir=options.folder) as folder:
        try:
            found = _measure(folder, options.rounds)
        except CommandFailed as error:
            print(error, file=sys.stderr)
            return 2
    kept = True
    print("what       ours s  theirs s  ratio  budget  cpu s theirs   MB")
    for what, (ours, theirs) in found.items():
        one, other = median(ours), median(theirs)
        ratio = one.wall / other.wall
        kept = kept and ratio <= _BUDGETS[what] and one.peak <= _MEMORY
        figures = f"{one.wall:>8.2f} {other.wall:>9.2f} {ratio:>6.2f} {_BUDGETS[what]:>7.2f}"
        print(f"{what:<8} {figures} {one.cpu:>6.2f} {other.cpu:>6.2f} {one.peak:>4.0f}", flush=True)
    return 1 if options.strict and not kept else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of each [default: 3]")
    parser.add_argument("--folder", metavar="DIR", help="where temporary files go [default: $TMPDIR]")
    parser.add_argument("--strict", action="store_true", help="fail if a budget is not kept")
    return parser


def _measure(folder: str, rounds: int) -> Mapping[str, tuple[Sequence[Cost], Sequence[Cost]]]:
    found: dict[str, tuple[list[Cost], list[Cost]]] = {what: ([], []) for what in _BUDGETS}
    policy = f"{folder}/policy.json"
    with open(policy, "w") as out:
        out.write('{"default":[{"type":"insecureAcceptAnything"}]}')
    skopeo = ("skopeo", "--policy", policy, "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false")
    ours = (sys.executable, "-m", "buildtool")
    log = f"{folder}/log"
    env = {**os.environ, "BUILDTOOL_STORE": f"{folder}/store", "HOME": folder}
    _make_image(folder, env)
    _settings(folder)
    for number in range(rounds):
        with _registry(f"{folder}/registry{number}") as address:
            mine, its = f"{address}/ours:1", f"{address}/theirs:1"
            os.sync()
            found["push"][0].append(cost_of((*ours, "push", "image", mine), env, log))
            os.sync()
            copy = (*skopeo, f"oci:{folder}/layout:x", f"docker://{its}")
            found["push"][1].append(cost_of(copy, env, log))
            fresh = {**env, "BUILDTOOL_STORE": f"{folder}/fresh"}
            os.sync()
            found["pull"][0].append(cost_of((*ours, "pull", mine), fresh, log))
            os.sync()
            found["pull"][1].append(cost_of((*skopeo, f"docker://{its}", f"oci:{folder}/copied:x"), env, log))
            _remove(f"{folder}/fresh", f"{folder}/copied")
            found["unpack"][0].append(_build(folder, mine, fresh, log))
            os.sync()
            found["unpack"][1].append(cost_of(_buildah(folder, its), env, log))
            _remove(f"{folder}/fresh", f"{folder}/root", f"{folder}/runroot", f"{folder}/registry{number}")
    return found


def _build(folder: str, name: str, env: Mapping[str, str], log: str) -> Cost:
    """A build whose only step runs a program of the image."""
    os.makedirs(f"{folder}/context", exist_ok=True)
    with open(f"{folder}/context/Dockerfile", "w") as out:
        out.write(f'FROM {name}\nRUN ["/bin/busybox", "true"]\n')
    argv = (sys.executable, "-m", "buildtool", "build", "--no-lock", f"{folder}/context")
    os.sync()
    return cost_of(argv, env, log)


def _buildah(folder: str, name: str) -> tuple[str, ...]:
    places = (f"--root={folder}/root", f"--runroot={folder}/runroot", "--storage-driver=overlay")
    return ("buildah", *places, "pull", "-q", "--tls-verify=false", f"docker://{name}")


def _settings(folder: str) -> None:
    """What buildah wants to find in a home."""
    os.makedirs(f"{folder}/.config/containers")
    shutil.copy(f"{folder}/policy.json", f"{folder}/.config/containers/policy.json")


def _make_image(folder: str, env: Mapping[str, str]) -> None:
    """An image of 300 MB in layers, half of which compresses, in a store and as a layout."""
    context = f"{folder}/files"
    chance = random.Random(7)
    for number in range(_LAYERS):
        os.makedirs(f"{context}/{number}")
        with tarfile.open(f"{context}/{number}/files.tar", "w") as tar:
            for n in range(_FILES):
                half = chance.randbytes(_FILE // 2)
                data = half + half.hex().encode()[: _FILE // 2]
                entry = tarfile.TarInfo(f"data/{number}/{n % 20}/{n}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    shutil.copy(shutil.which("busybox") or "/bin/busybox", f"{context}/busybox")
    rows = ["FROM scratch", "COPY busybox /bin/busybox"]
    rows += [f"ADD {number}/files.tar /" for number in range(_LAYERS)]
    with open(f"{context}/Dockerfile", "w") as out:
        out.write("\n".join(rows) + "\n")
    log = f"{folder}/log"
    cost_of((sys.executable, "-m", "buildtool", "build", "-q", "-t", "image", context), env, log)
    cost_of((sys.executable, "-m", "buildtool", "copy", "image", f"oci:{folder}/layout:x"), env, log)
    shutil.rmtree(context)


def _remove(*folders: str) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _registry(folder: str) -> Iterator[str]:
    """An empty docker-registry."""
    os.mkdir(folder)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with open(f"{folder}/config.yml", "w") as out:
        out.write(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: 127.0.0.1:{port}, secret: bench}}\n"
        )
    argv = ("docker-registry", "serve", f"{folder}/config.yml")
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
