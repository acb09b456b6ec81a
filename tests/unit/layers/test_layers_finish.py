"""Finishing a step's upper folder: injected files, finishers, times."""

import os
import py_compile
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from buildtool.graph import stage
from buildtool.layers.changes import changes
from buildtool.layers.finish import FinishSpec, Mended, finish
from buildtool.layers.finishers import FINISHERS
from buildtool.layers.tree import Stack
from tests.support.cacache import entry
from tests.support.layers import EPOCH, file, folder, snapshot, told

pytestmark = pytest.mark.root

CLOCK = 1_000_000_000
WINDOW = 1_700_000_000
NS = 1_000_000_000


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def up(tmp_path) -> Path:
    (tmp_path / "up").mkdir()
    return tmp_path / "up"


def put(path: Path, data: bytes = b"", seconds: float = WINDOW + 1) -> Path:
    """A file that was written when `seconds` says; by default while the step ran."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (seconds, seconds))
    return path


def finished(up: Path, *lowers: Path, finishers: tuple[str, ...] = (), injected: tuple[bytes, ...] = ()):
    spec = FinishSpec(CLOCK, WINDOW * NS, finishers, injected)
    with Stack([str(p) for p in lowers]) as below:
        report = finish(str(up), below, spec)
        return report, [e.path for e, _ in changes(str(up), below)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WINDOW, CLOCK),
        (WINDOW + 0.5, CLOCK),
        (CLOCK + 1, CLOCK),
        (CLOCK, CLOCK),
        (CLOCK - 1.5, CLOCK - 2),
        (12345.75, 12345),
        (0, 0),
        (-3.5, 0),
    ],
)
def test_times_are_whole_and_never_after_the_clock(up, before, after):
    path = put(up / "d/f", seconds=before)
    os.symlink("nowhere", up / "d/l")
    os.utime(up / "d/l", (before, before), follow_symlinks=False)
    os.utime(up / "d", (before, before))
    finished(up)
    assert path.stat().st_mtime_ns == after * NS
    assert os.lstat(up / "d/l").st_mtime_ns == after * NS
    assert (up / "d").stat().st_mtime_ns == after * NS


def test_the_root_keeps_the_time_below_unless_it_is_in_the_layer(up, tmp_path):
    snapshot(tmp_path / "low", [folder(b"", mode=0o700)])
    assert finished(up)[1] == []
    assert up.stat().st_mtime_ns == 0
    assert finished(up, tmp_path / "low")[1] == [b""]
    assert up.stat().st_mtime_ns == 0
    put(up / "f")
    assert finished(up, tmp_path / "low")[1] == [b"", b"f"]
    assert up.stat().st_mtime_ns == CLOCK * NS
    up.chmod(0o700)
    assert finished(up, tmp_path / "low")[1] == [b"f"]
    assert up.stat().st_mtime_ns == EPOCH * NS


def test_what_no_layer_holds_is_dropped(up, tmp_path):
    snapshot(tmp_path / "low", [folder(b"d"), file(b"d/hidden"), file(b"s")])
    for name in ("s", "t"):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(up / name))
    put(up / "f")
    (up / "d").mkdir()
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    for name, value in {"user.x": b"1", "trusted.x": b"2", "security.capability": capability}.items():
        os.setxattr(up / "f", name, value)
    os.setxattr(up / "d", "trusted.overlay.opaque", b"y")
    os.setxattr(up / "d", "user.x", b"1")
    _, paths = finished(up, tmp_path / "low")
    assert paths == [b"s", b"d", b"d/hidden", b"f"]  # the first and the third are gone
    assert stat.S_ISCHR((up / "s").lstat().st_mode)
    assert not (up / "t").exists()
    assert os.listxattr(up / "f") == ["security.capability"]
    assert os.listxattr(up / "d") == ["trusted.overlay.opaque"]


def test_the_snapshot_is_what_its_layer_unpacks_to(up, tmp_path):
    low = tmp_path / "low"
    snapshot(low, [folder(b"d"), file(b"d/kept", b"x"), file(b"d/old"), folder(b"e"), file(b"e/f")])
    put(up / "d/new", b"new")
    put(up / "lib/mod.py", b"x = 1\n")
    compiled(up / "lib/mod.py", TIMED)
    os.mknod(up / "d/old", stat.S_IFCHR, 0)
    (up / "e").mkdir()
    os.setxattr(up / "e", "trusted.overlay.opaque", b"y")
    finished(up, low, finishers=tuple(FINISHERS))
    with Stack([str(low)]) as below:
        snapshot(tmp_path / "again", changes(str(up), below), [low])
    assert told([tmp_path / "again", low]) == told([up, low])


def test_mount_points_go_away_with_the_folders_made_for_them(up):
    for name in ("proc", "run/secrets/deep", "var/cache/mount"):
        (up / name).mkdir(parents=True)
    put(up / "etc/resolv.conf")
    put(up / "etc/hosts", b"the step wrote this")
    put(up / "var/kept")
    injected = (b"proc", b"run/secrets/deep", b"var/cache/mount", b"/etc/resolv.conf", b"etc/hosts")
    _, paths = finished(up, injected=injected)
    assert paths == [b"etc", b"etc/hosts", b"var", b"var/kept"]


def test_what_the_tree_below_has_stays(up, tmp_path):
    snapshot(tmp_path / "low", [folder(b"etc"), file(b"etc/hosts"), folder(b"proc")])
    (up / "proc").mkdir()
    (up / "etc").mkdir()
    put(up / "etc/resolv.conf")
    _, paths = finished(up, tmp_path / "low", injected=(b"proc", b"etc/hosts", b"etc/resolv.conf"))
    assert b"etc/hosts" not in paths
    assert (up / "proc").is_dir()
    # Only we touched /etc, so it is no change.
    assert b"etc" not in paths


def test_a_mount_point_that_a_link_hides_touches_nothing_outside(up, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    put(outside / "resolv.conf")
    os.symlink(outside, up / "etc")
    finished(up, injected=(b"etc/resolv.conf",), finishers=tuple(FINISHERS))
    assert (outside / "resolv.conf").exists()


def test_the_registry_is_what_the_graph_names():
    assert tuple(FINISHERS) == stage.FINISHERS
    assert all(f.description.endswith(".") and f.version >= 1 for f in FINISHERS.values())


def test_an_unknown_finisher_is_an_error(up):
    with pytest.raises(ValueError, match="no finisher 'x'"):
        finished(up, finishers=("x",))


def test_apt_and_ldconfig_caches_are_dropped(up, tmp_path):
    low = tmp_path / "low"
    aux = b"var/cache/ldconfig/aux-cache"
    parents = [folder(b"var"), folder(b"var/cache"), folder(b"var/cache/ldconfig")]
    snapshot(low, [*parents, file(aux)])
    put(up / "var/cache/apt/pkgcache.bin", b"x")
    put(up / "var/cache/apt/srcpkgcache.bin", b"x", seconds=5)
    put(up / os.fsdecode(aux), b"x")
    report, paths = finished(up, low, finishers=("apt-caches", "ldconfig-aux-cache"))
    assert report.mended == (
        Mended("apt-caches", b"var/cache/apt/pkgcache.bin"),
        Mended("ldconfig-aux-cache", aux),
    )
    assert stat.S_ISCHR((up / os.fsdecode(aux)).lstat().st_mode)
    assert b"var/cache/apt/srcpkgcache.bin" in paths
    assert b"var/cache/apt/pkgcache.bin" not in paths


def test_a_machine_id_that_the_step_wrote_is_emptied(up):
    put(up / "etc/machine-id", b"0123456789abcdef\n")
    put(up / "var/lib/dbus/machine-id", b"old", seconds=7)
    report, _ = finished(up, finishers=("machine-id",))
    assert report.mended == (Mended("machine-id", b"etc/machine-id"),)
    assert (up / "etc/machine-id").read_bytes() == b""
    assert (up / "etc/machine-id").stat().st_mtime == CLOCK
    assert (up / "var/lib/dbus/machine-id").read_bytes() == b"old"


def test_logs_of_npm_are_dropped(up):
    put(up / "root/.npm/_logs/2026-debug-0.log", b"pid 7\n")
    put(up / "home/node/.npm/_logs/2026-debug-0.log", b"pid 8\n")
    put(up / "home/node/.npm/_logs/old.log", b"pid 9\n", seconds=7)
    put(up / "srv/.npm/_logs/own.log", b"\n")
    report, _ = finished(up, finishers=("npm-logs",))
    assert [mended.path for mended in report.mended] == [
        b"root/.npm/_logs/2026-debug-0.log",
        b"home/node/.npm/_logs/2026-debug-0.log",
    ]
    assert os.listdir(up / "home/node/.npm/_logs") == ["old.log"]


def test_the_index_of_npms_cache_is_put_in_order_wherever_it_lies(up):
    early, late = entry("pkg", 1), entry("other", 2)
    bucket = put(up / "srv/cache/_cacache/index-v5/7f/c3/dc06", late + early + late)
    put(up / "root/.npm/_cacache/index-v5/00/60/6a22", early, seconds=7)
    put(up / "root/.npm/_cacache/tmp/1f0c8e2d", b"half")
    put(up / "root/.npm/_cacache/content-v2/sha512/01/35/94bf", b"package")
    report, paths = finished(up, finishers=("npm-cache",))
    assert [mended.path for mended in report.mended] == [
        b"root/.npm/_cacache/tmp/1f0c8e2d",
        b"srv/cache/_cacache/index-v5/7f/c3/dc06",
    ]
    assert bucket.read_bytes() == early + late
    assert bucket.stat().st_mtime == CLOCK
    assert b"root/.npm/_cacache/content-v2/sha512/01/35/94bf" in paths
    assert finished(up, finishers=("npm-cache",))[0].mended == ()


def test_wheels_that_pip_built_are_dropped_and_nothing_else_of_its_cache(up):
    wheel = put(up / "root/.cache/pip/wheels/83/89/docopt-0.6.2-py2.py3-none-any.whl", b"PK")
    put(up / "root/.cache/pip/wheels/83/89/origin.json", b"{}")
    put(up / "root/.cache/pip/wheels/44/older.whl", b"PK", seconds=7)
    put(up / "wheels/docopt-0.6.2-py2.py3-none-any.whl", b"PK")
    report, _ = finished(up, finishers=("pip-wheels",))
    assert report.mended == (Mended("pip-wheels", bytes(wheel.relative_to(up))),)
    assert os.listdir(wheel.parent) == ["origin.json"]


def test_a_machine_id_that_is_a_link_is_left_alone(up, tmp_path):
    outside = put(tmp_path / "id", b"secret")
    (up / "etc").mkdir()
    os.symlink(outside, up / "etc/machine-id")
    report, _ = finished(up, finishers=("machine-id",))
    assert report.mended == ()
    assert outside.read_bytes() == b"secret"


def compiled(source: Path, mode: py_compile.PycInvalidationMode) -> Path:
    made = Path(py_compile.compile(str(source), invalidation_mode=mode))
    os.utime(made, (WINDOW + 2, WINDOW + 2))
    return made


def source_time(path: Path) -> int:
    return struct.unpack("<I", path.read_bytes()[8:12])[0]


TIMED = py_compile.PycInvalidationMode.TIMESTAMP


def test_bytecode_of_a_source_that_the_step_wrote_follows_it(up):
    source = put(up / "lib/mod.py", b"x = 1\n", seconds=WINDOW + 1.5)
    made = compiled(source, TIMED)
    os.link(made, made.with_name("mod.cpython-311.opt-1.pyc"))
    report, _ = finished(up, finishers=("pyc-mtime",))
    assert [m.finisher for m in report.mended] == ["pyc-mtime"]
    assert source_time(made) == CLOCK == source.stat().st_mtime
    assert made.stat().st_mtime == CLOCK
    # The interpreter agrees: it uses the bytecode and does not write it again.
    before = made.read_bytes()
    command = [sys.executable, "-v", "-c", "import mod"]
    done = subprocess.run(command, cwd=up / "lib", capture_output=True, text=True)
    assert "matches" in done.stderr
    assert str(source) in done.stderr
    assert made.read_bytes() == before


def test_bytecode_of_an_older_source_stays_as_it_is(up, tmp_path):
    source = put(up / "lib/mod.py", b"x = 1\n", seconds=12345)
    made = compiled(source, TIMED)
    report, _ = finished(up, finishers=("pyc-mtime",))
    assert report.mended == ()
    assert source_time(made) == 12345


def test_bytecode_of_a_lower_source_stays_as_it_is(up, tmp_path):
    snapshot(tmp_path / "low", [folder(b"lib"), file(b"lib/mod.py", b"x = 1\n")])
    made = compiled(tmp_path / "low/lib/mod.py", TIMED)
    put(up / "lib/__pycache__" / made.name, made.read_bytes())
    report, _ = finished(up, tmp_path / "low", finishers=("pyc-mtime",))
    assert report.mended == ()
    assert source_time(up / "lib/__pycache__" / made.name) == EPOCH


def test_stale_bytecode_stays_stale_and_sourceless_bytecode_has_no_time(up):
    source = put(up / "lib/mod.py", b"x = 1\n", seconds=WINDOW + 1)
    stale = compiled(source, TIMED)
    os.utime(source, (WINDOW + 9, WINDOW + 9))
    alone = put(up / "lib/alone.pyc", stale.read_bytes())
    report, _ = finished(up, finishers=("pyc-mtime",))
    assert len(report.mended) == 2
    assert source_time(stale) == source_time(alone) == 0


def test_bytecode_that_is_checked_by_hash_stays_as_it_is(up):
    source = put(up / "lib/mod.py", b"x = 1\n")
    made = compiled(source, py_compile.PycInvalidationMode.CHECKED_HASH)
    before = made.read_bytes()
    assert finished(up, finishers=("pyc-mtime",))[0].mended == ()
    assert made.read_bytes() == before


def test_finishing_twice_changes_nothing(up):
    put(up / "lib/mod.py", b"x = 1\n")
    compiled(up / "lib/mod.py", TIMED)
    first = finished(up, finishers=tuple(FINISHERS))
    second = finished(up, finishers=tuple(FINISHERS))
    assert first[1] == second[1]
    assert second[0].mended == ()


def test_compiled_code_that_node_kept_is_dropped(up):
    kept = put(up / "tmp/node-compile-cache/v22.13.1-x64-0/0a1b2c3d", b"code")
    own = put(up / "srv/node-compile-cache/0a1b2c3d", b"code")
    report, _ = finished(up, finishers=("node-compile-cache",))
    assert report.mended == (Mended("node-compile-cache", bytes(kept.relative_to(up))),)
    assert own.exists()
