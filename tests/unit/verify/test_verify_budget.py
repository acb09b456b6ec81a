"""Two images of a gigabyte that differ in one file: the time and the memory that telling so takes."""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.layouts import LAYER, layout

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parents[3]

GIGABYTE = 1_000_000_000
SECONDS = 10
MEGABYTES = 300


def _files(changed: bool) -> Iterator[tuple[str, bytes]]:
    """About 12,000 files, most of them small, some large; half of the bytes can be compressed."""
    source = random.Random(1)
    noise = source.randbytes(1 << 22)
    total, number = 0, 0
    while total < GIGABYTE:
        size = source.choice((500, 4_000, 20_000, 60_000, 120_000, 400_000)) if number % 500 else 20_000_000
        half = size // 2
        at = source.randrange(len(noise) - min(half, 1 << 21))
        data = (noise[at : at + half] + b"some text that is like other text\n" * (half // 34 + 1))[:size]
        yield f"usr/lib/{number % 97:02}/file-{number:05}", data
        total, number = total + size, number + 1
    yield "var/log/dpkg.log", b"2026-08-01 12:0%d:00 startup\n" % (4 if changed else 0) * 50


def _write(folder: Path, changed: bool) -> None:
    """A layout with one gzip layer, as `gzip -1` makes it, written without holding it."""
    layout(folder, [], media=LAYER + "+gzip")
    part = folder / "blobs" / "sha256" / "part"
    with part.open("wb") as sink:
        packer = subprocess.Popen(["gzip", "-1n"], stdin=subprocess.PIPE, stdout=sink)
        assert packer.stdin is not None
        with tarfile.open(fileobj=packer.stdin, mode="w|") as archive:
            for name, data in _files(changed):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        packer.stdin.close()
        assert packer.wait() == 0
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.rename(part.with_name(digest))
    index = json.loads((folder / "index.json").read_text())
    old = folder / "blobs" / "sha256" / index["manifests"][0]["digest"][7:]
    manifest = json.loads(old.read_text())
    size = part.with_name(digest).stat().st_size
    manifest["layers"] = [{"mediaType": LAYER + "+gzip", "digest": f"sha256:{digest}", "size": size}]
    data = json.dumps(manifest).encode()
    new = hashlib.sha256(data).hexdigest()
    old.with_name(new).write_bytes(data)
    index["manifests"][0] |= {"digest": f"sha256:{new}", "size": len(data)}
    (folder / "index.json").write_text(json.dumps(index))


_MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss, done.stdout, done.stderr]))
"""


def test_a_gigabyte_is_compared_within_its_budget(tmp_path: Path) -> None:
    for name, changed in (("one", False), ("two", True)):
        _write(tmp_path / name, changed)
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "buildtool", "diff", "one", "two"]
    environment = {**os.environ, "BUILDTOOL_STORE": str(tmp_path / "store"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--format", "json"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    # The time of the processor, all threads together: that of the clock is less on a machine that is
    # free, and anything on one that is not.
    status, seconds, peak, out, err = json.loads(done.stdout)
    assert status == 1, err
    (layer,) = (d for d in json.loads(out)["differences"] if d["kind"] == "layer")
    assert [entry["where"] for entry in layer["inside"]] == ["var/log/dpkg.log"]
    assert layer["inside"][0]["findings"][0]["cause"] == "embedded-time"
    print(f"{seconds:.1f} s, {peak / 1000:.0f} MB")
    assert peak / 1000 < MEGABYTES
    assert seconds < SECONDS
