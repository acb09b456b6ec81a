"""The clock library, preloaded into real programs of both C libraries, and as a file."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.sandbox import clock, cpus
from buildtool.sandbox.clock import build

INSTANT = 315532800
PROBE = Path(__file__).with_name("clock_probe.c")

Run = Callable[..., str]


@pytest.fixture(scope="session", autouse=True)
def compiled() -> str:
    """The architecture of this machine, its library compiled if an install has not done so."""
    architecture = build.native()
    if architecture is None:
        pytest.skip("no clock library for this architecture")
    if not build.is_current(architecture) and build.build(architecture) is None:
        pytest.fail("neither cc nor ziglang is here to compile the clock library")
    return architecture


@pytest.fixture
def run(compiled: str, tmp_path: Path) -> Run:
    """Run a command with the library preloaded; its standard output."""
    library = tmp_path / "clock.so"
    library.write_bytes(clock.library(compiled, INSTANT))

    def go(*argv: str | Path, **more: object) -> str:
        env = {**os.environ, "LD_PRELOAD": str(library), "TZ": "UTC", "LC_ALL": "C"}
        options: dict[str, object] = {"text": True, "capture_output": True, "timeout": 60} | more
        done = subprocess.run([*argv], env=env, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    return go


def test_date_stands_still(run: Run) -> None:
    assert run("date", "+%s.%N") == f"{INSTANT}.000000000\n"


def test_python_sees_the_instant_and_sorted_folders(run: Run, tmp_path: Path) -> None:
    for name in "zebra", "Zebra", "\u00e9", ".hidden", "a b":
        (tmp_path / name).touch()
    program = (
        "import os,sys,time,threading\n"
        "assert time.time() == float(sys.argv[1]), time.time()\n"
        "start = time.monotonic()\n"
        "threading.Event().wait(0.05)\n"
        "assert time.monotonic() - start >= 0.04\n"
        "names = os.listdir(os.fsencode(sys.argv[2]))\n"
        "assert names == sorted(names) and len(names) == 6, names\n"
        "assert [e.name for e in os.scandir(os.fsencode(sys.argv[2]))] == names\n"
        "fd = os.open(sys.argv[2], os.O_RDONLY)\n"
        "assert [os.fsencode(n) for n in os.listdir(fd)] == names\n"
        "assert [os.fsencode(n) for n in os.listdir(fd)] == names\n"
    )
    run(sys.executable, "-c", program, str(INSTANT), str(tmp_path))


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_ls_unsorted_is_sorted(run: Run, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "folder" if place == "disk" else Path("/dev/shm") / f"buildtool-{os.getpid()}"
    folder.mkdir()
    try:
        names = [f"{(n * 37) % 101:03}" for n in range(101)]
        for name in names:
            (folder / name).touch()
        assert run("ls", "-f", folder).split() == [".", "..", *sorted(names)]
        assert run("find", folder, "-type", "f", "-printf", "%f\n").split() == sorted(names)
    finally:
        shutil.rmtree(folder)


def test_make_keeps_ordering_files(run: Run, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    (tmp_path / "Makefile").write_text("b: a\n\tcp a b\n\techo made\n")
    (tmp_path / "a").write_text("1")
    assert "made" in run("make", "-s", cwd=tmp_path)
    assert "made" not in run("make", "-s", cwd=tmp_path)
    newer = (tmp_path / "b").stat().st_mtime_ns + 1_000_000
    os.utime(tmp_path / "a", ns=(newer, newer))
    assert "made" in run("make", "-s", cwd=tmp_path)


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
def test_every_function_in_a_program_of_that_library(run: Run, tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    probe = tmp_path / "probe"
    subprocess.run([compiler, "-O1", "-pthread", "-o", probe, PROBE], check=True)
    folder, empty = tmp_path / "folder", tmp_path / "empty"
    empty.mkdir()
    folder.mkdir()
    for name in "b", "a", "-":
        (folder / name).touch()
    (folder / "c").mkdir()
    assert run(probe, str(INSTANT), folder, empty) == "right\n"


@pytest.mark.parametrize("compiler", ["cc", "musl-gcc"])
def test_four_processors_in_a_program_of_that_library(run: Run, tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    probe = tmp_path / "probe"
    subprocess.run([compiler, "-O1", "-pthread", "-o", probe, PROBE.with_name("cpus_probe.c")], check=True)
    assert run(probe) == "right\n"
    # The machine may have more, or fewer.
    one = sorted(os.sched_getaffinity(0))[:1]
    assert run(probe, preexec_fn=lambda: os.sched_setaffinity(0, one)) == "right\n"


def test_the_library_and_the_files_speak_of_as_many_processors(run: Run) -> None:
    program = "import os; print(os.cpu_count(), len(os.sched_getaffinity(0)))"
    assert run(sys.executable, "-c", program) == f"{cpus.COUNT} {cpus.COUNT}\n"


def test_what_a_thread_pins_itself_to_it_is_told(run: Run) -> None:
    """Another thread, or the program that it becomes, is told of all."""
    program = (
        "import os, threading\n"
        "os.sched_setaffinity(0, {3})\n"
        "seen = []\n"
        "thread = threading.Thread(target=lambda: seen.append(sorted(os.sched_getaffinity(0))))\n"
        "thread.start(); thread.join()\n"
        "print(sorted(os.sched_getaffinity(0)), *seen, flush=True)\n"
        "os.execvp('nproc', ['nproc'])\n"
    )
    assert run(sys.executable, "-c", program) == "[3] [0, 1, 2, 3]\n4\n"


def test_a_program_without_threads_or_libdl(run: Run, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no cc")
    source = tmp_path / "p.c"
    source.write_text(f"#include <time.h>\nint main(void) {{ return time(0) != {INSTANT}; }}\n")
    subprocess.run(["cc", "-o", tmp_path / "p", source], check=True)
    run(tmp_path / "p")


# ---------------------------------------------------------------- the file


def _dynamic(data: bytes) -> tuple[dict[int, int], list[tuple[str, int, int]]]:
    """The dynamic section, and (name, binding, section) of each dynamic symbol (ELF gABI, 64 bits)."""
    headers, size, count = (
        struct.unpack_from("<Q", data, 32)[0],
        *struct.unpack_from("<HH", data, 54),
    )
    segments = [struct.unpack_from("<IIQQQQ", data, headers + n * size) for n in range(count)]
    (start, length) = next((s[2], s[5]) for s in segments if s[0] == 2)

    def offset(address: int) -> int:
        return next(address - s[3] + s[2] for s in segments if s[0] == 1 and s[3] <= address < s[3] + s[5])

    pairs = (struct.unpack_from("<qQ", data, at) for at in range(start, start + length, 16))
    entries = {tag: value for tag, value in pairs if tag}
    strings, symbols = offset(entries[5]), offset(entries[6])
    (chains,) = struct.unpack_from("<I", data, offset(entries[4]) + 4)
    found = []
    for n in range(1, chains):
        name, info, _, section, _, _ = struct.unpack_from("<IBBHQQ", data, symbols + 24 * n)
        text = data[strings + name : data.index(b"\0", strings + name)].decode()
        found.append((text, info >> 4, section))
    return entries, found


_BORROWED = ("__errno_location", "dl_iterate_phdr", "free", "malloc", "pthread_self")


def test_the_library_needs_nothing() -> None:
    needed, verneed, gnu_hash, init, init_array = 1, 0x6FFFFFFE, 0x6FFFFEF5, 12, 25
    built = [a for a in build.ARCHITECTURES if os.path.exists(build.output(a))]
    assert built
    for architecture in built:
        data = clock.library(architecture, 0)
        entries, symbols = _dynamic(data)
        assert not {needed, verneed, init, init_array} & set(entries)
        assert gnu_hash in entries
        assert struct.unpack_from("<H", data, 18)[0] == {"amd64": 62, "arm64": 183}[architecture]
        weak = 2
        undefined = {(name, binding) for name, binding, section in symbols if section == 0}
        assert undefined == {(n, weak) for n in _BORROWED}
        defined = {name for name, _, section in symbols if section}
        assert {"clock_gettime", "time", "gettimeofday", "readdir64", "scandirat64", "sysconf"} <= defined


def test_only_the_instant_differs(compiled: str) -> None:
    one, other = clock.library(compiled, 0), clock.library(compiled, -1)
    differing = [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    assert len(differing) == 8
    assert differing[-1] - differing[0] == 7


def test_a_missing_library_says_how_to_build_it() -> None:
    with pytest.raises(BuildError) as caught:
        clock.library("s390x", 0)
    assert caught.value.code == "no-clock-library"
    assert "python -m buildtool.sandbox.clock.build" in caught.value.hint


def test_a_damaged_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clock-amd64.so").write_bytes(b"nothing")
    monkeypatch.setattr(clock, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BuildError, match="damaged"):
        clock.library("amd64", 0)
