"""The same layer comes out for root and for an ordinary user in a user namespace."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildtool.layers.entry import Entry, Kind, hardlink, whiteout
from tests.support.layers import Pair, file, folder, link, written

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[3]

#: Unpacks layers over each other, and tells the digest that `changes` gives for each, or the error's code.
SCRIPT = """
import io, json, sys
from pathlib import Path
from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.layers.changes import changes
from buildtool.layers.tar import write_layer
from buildtool.layers.tree import Stack
from buildtool.layers.unpack import unpack

at, prefix, told, lowers = Path(sys.argv[1]), sys.argv[2], [], []
for path in sorted(at.glob("*.tar")):
    target = path.with_suffix("")
    target.mkdir()
    data = path.read_bytes()
    try:
        unpack(io.BytesIO(data), str(target), lowers=lowers, xattr_prefix=prefix, expect=sha256(data))
    except BuildError as error:
        told.append(error.code)
        continue
    with Stack(lowers, prefix) as below:
        told.append(write_layer(changes(str(target), below, prefix)).diff_id)
    lowers.insert(0, str(target))
print(json.dumps(told))
"""


def layers() -> list[list[Pair]]:
    first = file(b"bin/su", b"x", mode=0o4755, uid=1000, gid=7)
    capability = (b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    base = [
        folder(b"bin"),
        file(b"bin/ping", b"x", xattrs=(capability,)),
        first,
        (hardlink(first[0], b"bin/su2"), None),
        folder(b"d", mode=0o1777),
        file(b"d/a"),
        file(b"d/b", uid=60000),
        (Entry(b"pipe", Kind.FIFO, 0o600, 1, 1, 5), None),
        link(b"s", b"bin"),
    ]
    removed = [folder(b"bin"), (whiteout(b"bin/su2"), None), folder(b"d", mode=0o700)]
    opaque = [folder(b"d", mode=0o700), (Entry(b"d", Kind.OPAQUE, 0, 0, 0, 0), None), file(b"d/new")]
    return [base, removed, opaque]


@pytest.fixture
def told(ordinary_user):
    """`told(layers, rootless)`: what the script tells."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")

    def run(archives: list[list[Pair]], *, rootless: bool) -> list[str]:
        at = ordinary_user.home / "layers"
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir()
        for number, pairs in enumerate(archives):
            (at / f"{number}.tar").write_bytes(written(pairs)[0])
        (at / "script.py").write_text(SCRIPT)
        path = ordinary_user.environment.get("PYTHONPATH", str(ROOT))
        command = [sys.executable, str(at / "script.py"), str(at)]
        if rootless:
            os.chown(at, ordinary_user.uid, ordinary_user.gid)
            if "PYTHONPATH" in ordinary_user.environment:
                command[0] = os.path.realpath(command[0])
            command = ["unshare", "--user", "--map-root-user", "--map-auto", "--", *command, "user"]
            done = ordinary_user.run(command, env={"PYTHONPATH": path})
            if done.stderr.startswith("unshare:"):
                pytest.skip(done.stderr.strip())
        else:
            environment = {**os.environ, "PYTHONPATH": path}
            done = subprocess.run([*command, "trusted"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_root_and_an_ordinary_user_make_the_same_layers(told):
    as_root = told(layers(), rootless=False)
    assert as_root[:2] == [written(pairs)[1].diff_id for pairs in layers()[:2]]
    assert told(layers(), rootless=True) == as_root


def test_what_an_ordinary_user_cannot_make_is_told(told):
    device = (Entry(b"null", Kind.CHAR, 0o666, 0, 0, 0, major=1, minor=3), None)
    archives = [[device], [file(b"f", uid=4_000_000_000)]]
    assert told(archives, rootless=True) == ["device-node", "unmapped-owner"]
