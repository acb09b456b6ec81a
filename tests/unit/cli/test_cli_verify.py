"""`buildtool verify`: silent about what is the same, and names what makes a difference."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUSYBOX = shutil.which("busybox")

STEADY = "echo the same > /file"
NICENESS = "busybox cut -d' ' -f19 /proc/self/stat > /file"
RANDOM = "busybox cat /proc/sys/kernel/random/uuid > /file"


def verify(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "buildtool", "verify", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if BUSYBOX is None:
        pytest.skip("busybox is not installed")
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    made = tmp_path / "context"
    made.mkdir()
    shutil.copy(BUSYBOX, made / "busybox")
    return made


def dockerfile(folder: Path, script: str) -> None:
    run = json.dumps(["/bin/busybox", "sh", "-c", script])
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY busybox /bin/\nRUN {run}\n")


def test_the_same_in_every_world(folder: Path) -> None:
    dockerfile(folder, STEADY)
    # Accounts of other tests come and go.
    done = verify(folder, "--perturb=-user", ".")
    assert done.returncode == 0, done.stdout + done.stderr
    first, digest, builds, perturbed, *_ = done.stdout.splitlines()
    assert first == ". is reproducible"
    assert digest.startswith("  digest     sha256:")
    assert builds == "  builds     2"
    assert {"zone", "order", "umask", "kernel"} <= set(perturbed.split())
    assert not (folder.parent / "store" / "index.sqlite").exists() or not list(
        (folder.parent / "store" / "blobs" / "sha256").iterdir()
    ), "the user's own store takes no part"


def test_a_planted_leak_is_found_and_named(folder: Path) -> None:
    dockerfile(folder, NICENESS)
    done = verify(folder, "--perturb", "zone,umask,niceness,order", ".", "--format", "json")
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["same"] is False
    assert told["causes"] == [["niceness"]]
    assert told["here"] != told["elsewhere"]["digests"]
    assert told["unsteady"] is False
    without = verify(folder, "--perturb=-niceness,-user", ".")
    assert without.returncode == 0, without.stdout + without.stderr


def test_the_number_of_cpus_is_named(folder: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one CPU")
    # Others are told four; without a dynamic linker this one asks the kernel.
    dockerfile(folder, "busybox nproc > /file")
    done = verify(folder, "--perturb", "cpus,locale", ".")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "  because    cpus (one CPU)\n" in done.stdout


def test_a_variable_of_the_users_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "one")
    run = json.dumps(["/bin/busybox", "sh", "-c", "cat /run/secrets/token > /file"])
    mount = "--mount=type=secret,id=token"
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY busybox /bin/\nRUN {mount} {run}\n")
    secret = ("--secret", "id=token,env=TOKEN")
    done = verify(folder, ".", *secret, "--perturb", "zone,umask", "--perturb-env", "TOKEN=two")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "  because    TOKEN (another value of TOKEN)\n" in done.stdout


def test_what_differs_by_itself_needs_no_perturbation(folder: Path) -> None:
    dockerfile(folder, RANDOM)
    done = verify(folder, "--perturb", "zone", ".")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "because    two builds differ with nothing perturbed" in done.stdout


def test_a_build_that_fails_elsewhere_differs(folder: Path) -> None:
    dockerfile(folder, f"{NICENESS}; busybox grep -q '^0$' /file")
    if os.nice(0) != 0:
        pytest.skip("these tests run with a niceness")
    done = verify(folder, "--perturb", "niceness", ".")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "elsewhere  the build fails, with status 1" in done.stdout
    assert "because    niceness" in done.stdout


def test_wrong_input_and_a_failing_build_have_their_own_status(folder: Path) -> None:
    assert verify(folder, "no-such-folder").returncode == 2
    assert verify(folder, "--perturb", "weather", ".").returncode == 2
    (folder / "Dockerfile").write_text("CPOY . /\n")
    done = verify(folder, ".")
    assert done.returncode == 2
    assert "Dockerfile:1:1" in done.stderr
    dockerfile(folder, "exit 3")
    assert verify(folder, ".").returncode == 1


def test_digests_of_another_machine(folder: Path) -> None:
    dockerfile(folder, STEADY)
    done = verify(folder, "--record", "digests.txt", "--rounds", "0", ".")
    assert done.returncode == 0, done.stdout + done.stderr
    listed = (folder / "digests.txt").read_text()
    assert listed.splitlines()[1].startswith(". sha256:")
    (folder / ".dockerignore").write_text("digests.txt\n")
    again = verify(folder, "--against", "digests.txt", ".")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith(". is what digests.txt says\n")
    everything = verify(folder.parent, "--all", "context/digests.txt")
    assert everything.returncode == 0, everything.stdout + everything.stderr
    dockerfile(folder, STEADY.replace("same", "other"))
    changed = verify(folder, "--all", "digests.txt")
    assert changed.returncode == 1
    assert "is not what digests.txt says" in changed.stdout


def test_targets_are_verified_in_a_copy_of_their_workspace(folder: Path) -> None:
    (folder / "app").mkdir()
    (folder / "app" / "BUILD.star").write_text(
        'load("@rules//image.star", "image")\nimage(name = "i", steps = [copy(["file"], "/")])\n'
    )
    (folder / "app" / "file").write_text("x")
    (folder / "buildtool.toml").write_text("")
    done = verify(folder / "app", "--perturb", "path,order,store,locale", ":i")
    assert done.returncode == 0, done.stdout + done.stderr
    listing = verify(folder, "--list")
    assert listing.returncode == 0
    assert "clock " in listing.stdout


def test_all_that_a_lock_is_for(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY busybox /\n")
    (folder / "buildtool.lock").write_text("format = 1\n")
    done = verify(folder.parent, "--perturb", "zone", "--all", "context/buildtool.lock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is reproducible\n" in done.stdout


@pytest.mark.root
def test_an_ordinary_user_builds_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = request.getfixturevalue("ordinary_user")
    if user.python != sys.executable:
        pytest.skip("an ordinary user cannot read this checkout")
    dockerfile(folder, STEADY)
    monkeypatch.setenv("SUDO_USER", user.name)
    done = verify(folder, "--perturb", "user,clock", ".")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  perturbed  clock user\n" in done.stdout
    dockerfile(folder, RANDOM)
    other = verify(folder, "--perturb", "user", "--no-bisect", "--format", "json", ".")
    assert other.returncode == 1, other.stdout + other.stderr
    (comparison,) = json.loads(other.stdout)["differences"]
    assert [entry["where"] for layer in comparison["differences"] for entry in layer.get("inside", [])] == [
        "file"
    ]


def test_of_several_results_those_that_differ_are_named(folder: Path) -> None:
    run = json.dumps(["/bin/busybox", "sh", "-c", RANDOM])
    (folder / "Dockerfile").write_text(
        f"FROM scratch AS of-amd64\nCOPY busybox /bin/\nRUN {run}\n"
        "FROM scratch AS of-arm64\nCOPY busybox /bin/\nARG TARGETARCH\nFROM of-${TARGETARCH}\n"
    )
    done = verify(folder, "--perturb", "zone", "--platform", "linux/amd64,linux/arm64", "--no-bisect", ".")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nlinux/amd64 here and linux/amd64 elsewhere differ in 1 place\n" in done.stdout
    assert "linux/arm64" not in done.stdout
    (folder / "buildtool.toml").write_text("")
    (folder / "BUILD.star").write_text(
        'load("@rules//dockerfile.star", "dockerfile")\nload("@rules//image.star", "image")\n'
        'load("@rules//index.star", "index")\n'
        'image(name = "still", steps = [copy(["busybox"], "/bin/")])\n'
        'index(name = "both", image = ":still")\n'
        'dockerfile(name = "random")\n'
    )
    done = verify(folder, "--perturb", "zone", "--platform", "linux/amd64", "--no-bisect", "//...")
    assert done.returncode == 1, done.stdout + done.stderr
    rows = done.stdout.splitlines()
    assert rows[:2] == ["//... is not reproducible", "  differ     1 of 3 targets"]
    assert [row.split()[-1] for row in rows[2:4]] == ["//:random", "//:random"]
    assert "//:random here and //:random elsewhere differ in 1 place" in rows
