"""`buildtool lock`: recording without an output, moving pins, and telling what changed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from buildtool.lock.write import write
from tests.support.recorded import BUSYBOX, Project
from tests.support.upstream import outside

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(BUSYBOX is None or shutil.which("crun") is None, reason="no busybox, or no crun"),
]

ONE, TWO = "http://example.org/one", "http://example.org/two"
FIRST, SECOND = "app 1 linux/amd64", "app 2 linux/amd64"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outside(tmp_path) as internet:
        internet.pages |= {ONE: b"one\n", TWO: b"two\n"}
        made = Project(tmp_path / "app", internet)
        made.write(f"RUN wget -qO /one {ONE}", f"RUN wget -qO /two {TWO}")
        yield made


def test_check_lock_and_check_again(project: Project) -> None:
    said = project.run("lock", "--check", fails=1)
    assert f"lock would change: {FIRST} uses the network" in said
    assert not project.lock_path.exists()
    said = project.run("lock")
    assert f"step {SECOND}\n  new      {TWO}" in said
    assert list(project.lock.runs) == [FIRST, SECOND]
    assert "nothing changed" in project.run("lock", "--check")
    project.digest("--locked")


def test_a_pattern_moves_one_step_and_the_other_keeps_its_clock(project: Project) -> None:
    project.run("lock")
    old = project.lock
    write(str(project.lock_path), replace(old, clock=1_700_000_000))
    project.outside.pages |= {ONE: b"1\n", TWO: b"2\n"}
    said = project.run("lock", "--update", "app 2")
    assert f"step {SECOND}\n  changed  {TWO}" in said
    new = project.lock
    assert new.runs[FIRST] == old.runs[FIRST]
    assert new.runs[SECOND].exchanges != old.runs[SECOND].exchanges
    assert new.clock == new.runs[SECOND].clock != 1_700_000_000
    assert project.outside.count(ONE) == 1
    project.digest("--locked")


def test_an_update_moves_all(project: Project) -> None:
    project.run("lock")
    old = project.lock
    project.outside.pages |= {ONE: b"1\n", TWO: b"2\n"}
    project.run("lock", ".", "--update")
    assert all(project.lock.runs[name].exchanges != old.runs[name].exchanges for name in (FIRST, SECOND))


def test_a_failed_update_loses_nothing(project: Project) -> None:
    project.run("lock")
    old = project.lock
    del project.outside.pages[TWO]
    project.run("lock", "--update", fails=1)
    assert project.lock.runs[SECOND] == old.runs[SECOND]
    said = project.run("lock", "--update=app 3", fails=2)
    assert "no-such-pin" in said


def test_what_is_no_longer_asked_for_stays_until_it_is_pruned(project: Project) -> None:
    project.run("lock")
    project.write(f"RUN wget -qO /one {ONE}")
    project.run("lock")
    assert list(project.lock.runs) == [FIRST, SECOND]
    said = project.run("lock", "--prune")
    assert f"gone     {TWO}" in said
    assert list(project.lock.runs) == [FIRST]


def test_show_compares_with_what_is_committed(project: Project) -> None:
    assert "no-lock" in project.run("lock", "show", fails=2)
    project.run("lock")
    assert f"step {FIRST}\n  new      {ONE}" in project.run("lock", "show")
    for command in (
        ["init", "-q"],
        ["add", "buildtool.lock"],
        ["-c", "user.name=a", "-c", "user.email=b@c", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=project.folder, check=True)
    assert project.run("lock", "show") == "buildtool.lock: nothing changed\n"
    assert f"step {FIRST}\n  new      {ONE}" in project.run("lock", "show", "--all")
    assert "bad-usage" in project.run("lock", "show", "--all", "--against", "buildtool.lock", fails=2)
    shutil.copy(project.lock_path, project.folder / "older")
    project.outside.pages[ONE] = b"1\n"
    project.run("lock", "--update", "app 1")
    said = project.run("lock", "show")
    assert "clock" in said or "changed" in said
    assert f"step {FIRST}\n  changed  {ONE}" in said
    assert project.run("lock", "show", "--against", "older") == said


@pytest.mark.parametrize("options", [("--check", "--update"), ("--check", "--prune"), ("--no-lock",)])
def test_flags_that_contradict_each_other(project: Project, options: tuple[str, ...]) -> None:
    assert "bad-usage" in project.run("lock", ".", *options, fails=2)
