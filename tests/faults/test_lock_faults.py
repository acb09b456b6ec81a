"""Locks and recordings that something happened to: told at their place, or recorded anew, never half used."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.recorded import BUSYBOX, Project
from tests.support.upstream import chunked, outside

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(BUSYBOX is None or shutil.which("crun") is None, reason="no busybox, or no crun"),
]

ONE, TWO = "http://example.org/one", "http://example.org/two"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outside(tmp_path) as internet:
        internet.pages |= {ONE: b"one\n", TWO: b"two\n"}
        made = Project(tmp_path / "app", internet)
        made.write(f"RUN wget -qO /one {ONE} && wget -qO /two {TWO}")
        yield made


def test_a_truncated_lock_is_told_and_left_alone(project: Project) -> None:
    project.build()
    whole = project.lock_path.read_bytes()
    asked = len(project.outside.asked)
    for size in (len(whole) - 3, len(whole) // 2, whole.index(b"exchanges") + 4):
        project.lock_path.write_bytes(whole[:size])
        said = project.build(fails=2)
        assert "buildtool.lock:" in said
        assert "error[lock-" in said
        assert project.lock_path.read_bytes() == whole[:size]
    assert len(project.outside.asked) == asked


def test_a_lock_of_a_newer_format_is_told_and_left_alone(project: Project) -> None:
    project.build()
    newer = project.lock_path.read_bytes().replace(b"format = 1\n", b"format = 2\n")
    project.lock_path.write_bytes(newer)
    for options in ((), ("--offline",), ("--no-cache",)):
        said = project.build(*options, fails=2)
        assert "error[lock-format]" in said
        assert "buildtool.lock:2:1" in said
    assert project.lock_path.read_bytes() == newer


def test_a_lock_with_another_answer_is_another_input(project: Project) -> None:
    first = project.digest()
    text = project.lock_path.read_text()
    (one,) = (e for e in project.lock.runs["app 1 linux/amd64"].exchanges if e.place == ONE)
    (two,) = (e for e in project.lock.runs["app 1 linux/amd64"].exchanges if e.place == TWO)
    assert one.body is not None
    assert two.body is not None
    project.lock_path.write_text(text.replace(one.body, two.body))
    assert project.digest("--offline") != first


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_build_that_is_killed_while_it_records_leaves_nothing_half_done(
    project: Project, number: signal.Signals
) -> None:
    project.outside.pages[TWO] = chunked(*[b"two\n"] * 100, pause=0.1)
    build = project.start("build", ".", "--progress=plain")
    deadline = time.monotonic() + 60
    while not project.outside.count(TWO) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert project.outside.count(TWO)
    build.send_signal(number)
    build.communicate(timeout=60)
    assert build.returncode != 0
    assert not project.lock_path.exists()
    project.outside.pages[TWO] = b"two\n"
    first = project.digest()
    assert project.digest("--offline", "--no-cache", prefix=("unshare", "--net")) == first


def test_a_lock_that_cannot_be_written_fails_the_build(project: Project) -> None:
    project.folder.chmod(0o755)
    project.lock_path.mkdir()
    said = project.build(fails=2)
    assert "error[lock-unreadable]" in said
    project.lock_path.rmdir()
    project.build()
