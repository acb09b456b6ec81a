"""Steps that use the network: watched, recorded into the lock, and replayed from it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from buildtool.lock.read import read
from buildtool.lock.write import write
from tests.conftest import OrdinaryUser
from tests.support.recorded import BUSYBOX, Project
from tests.support.upstream import chunked, outside, truncated

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(BUSYBOX is None or shutil.which("crun") is None, reason="no busybox, or no crun"),
]

ONE, TWO = "http://example.org/one", "http://example.org/two"
NAME = "app 1 linux/amd64"
GET_ONE = f"RUN wget -qO /one {ONE}"
PAGES = (("one", ONE), ("two", TWO))
GET_TWO = f"RUN wget -qO /two {TWO}"
UNPLUGGED = ("unshare", "--net")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outside(tmp_path) as internet:
        internet.pages |= {ONE: b"one\n", TWO: b"two\n"}
        made = Project(tmp_path / "app", internet)
        made.write(GET_ONE)
        yield made


def test_what_was_recorded_replays_without_any_network(project: Project) -> None:
    first = project.digest()
    assert [e.place for e in project.lock.runs[NAME].exchanges] == [ONE]
    assert project.lock.clock == project.lock.runs[NAME].clock
    text = project.lock_path.read_bytes()
    project.outside.pages.clear()
    assert project.digest("--offline", "--no-cache", prefix=UNPLUGGED) == first
    assert project.digest("--locked") == first
    assert project.lock_path.read_bytes() == text
    assert project.outside.count(ONE) == 1


def test_a_second_build_runs_nothing(project: Project) -> None:
    project.build()
    assert "0 steps executed" in project.build()


def test_a_step_without_network_needs_no_lock(project: Project) -> None:
    project.write("RUN date > /now")
    project.build("--locked")
    assert not project.lock_path.exists()


def test_a_locked_build_records_nothing(project: Project) -> None:
    for flag in ("--locked", "--offline"):
        said = project.build(flag, fails=2)
        assert "lock-outdated" in said
        assert f"{NAME} uses the network and is not in the lock" in said
        assert "Dockerfile:5" in said
        assert flag in said
    assert project.outside.asked == []
    project.build()
    project.write("RUN true && wget -qO /one " + ONE)
    assert f"{NAME} is another step than in the lock" in project.build("--locked", fails=2)


def test_an_edited_step_is_answered_by_the_lock_and_asks_for_the_rest(project: Project) -> None:
    project.build()
    clock = project.lock.clock
    project.outside.pages[ONE] = b"other\n"
    project.write(f"RUN wget -qO /one {ONE} && grep one /one && wget -qO /two {TWO}")
    project.build()
    assert [e.place for e in project.lock.runs[NAME].exchanges] == [ONE, TWO]
    assert project.lock.clock == clock
    assert project.outside.count(ONE) == 1


def test_a_request_that_was_not_recorded_fails_the_build(project: Project) -> None:
    again = f"if [ -e /c/x ]; then wget -qO /two {TWO}; fi"
    project.write(f"RUN --mount=type=cache,target=/c wget -qO /one {ONE} && {again} && touch /c/x")
    project.build()
    said = project.build("--no-cache", fails=1)
    assert f"GET {TWO}" in said
    assert "Dockerfile:5" in said
    assert "not-recorded" in said


def test_a_recording_is_complete_whatever_a_cache_held(project: Project) -> None:
    one, two = (f"{{ [ -e /c/{n} ] || wget -qO /c/{n} {url}; }} && cp /c/{n} /{n}" for n, url in PAGES)
    project.write(f"RUN --mount=type=cache,target=/c {one}")
    project.build()
    project.write(f"RUN --mount=type=cache,target=/c {one} && {two}")
    digest = project.digest()
    assert [e.place for e in project.lock.runs[NAME].exchanges] == [ONE, TWO]
    assert project.outside.count(ONE) == 1
    shutil.rmtree(project.folder.parent / project.store / "caches")
    assert project.digest("--offline", "--no-cache") == digest
    project.write(f"RUN --mount=type=cache,target=/c cp /c/one /c/two / && echo {ONE}")
    project.build("--offline")


def test_a_body_that_is_gone_is_fetched_again_and_verified(project: Project) -> None:
    first = project.digest()
    (exchange,) = project.lock.runs[NAME].exchanges
    assert exchange.body is not None
    project.body(exchange.body).unlink()
    said = project.build("--no-cache", "--offline", fails=1)
    assert ONE in said
    assert "body-missing" in said
    assert project.digest("--no-cache") == first
    project.body(exchange.body).unlink()
    project.outside.pages[ONE] = b"other\n"
    said = project.build("--no-cache", fails=1)
    assert f"GET {ONE}" in said
    assert "body-changed" in said


def test_a_corrupt_body_is_fetched_again(project: Project) -> None:
    first = project.digest()
    (exchange,) = project.lock.runs[NAME].exchanges
    assert exchange.body is not None
    project.body(exchange.body).write_bytes(b"eno\n")
    assert project.digest("--no-cache") == first


def test_what_is_done_is_recorded_when_a_later_step_fails(project: Project) -> None:
    project.write(GET_ONE, f"RUN wget -qO /two {TWO} && echo so far && false")
    said = project.build(fails=1)
    assert "so far" in said
    assert list(project.lock.runs) == [NAME]
    project.outside.pages[ONE] = b"other\n"
    project.write(GET_ONE, GET_TWO)
    project.build()
    assert project.outside.count(ONE) == 1
    assert list(project.lock.runs) == [NAME, "app 2 linux/amd64"]


@pytest.mark.parametrize("page", [truncated(b"half", 8), chunked(b"half", broken=True)])
def test_an_answer_that_breaks_off_is_never_recorded(project: Project, page: object) -> None:
    project.outside.pages[ONE] = page  # type: ignore[assignment]
    project.write(f"RUN wget -qO /one {ONE} || true")
    project.build(fails=1)
    assert not project.lock_path.exists()
    project.outside.pages[ONE] = b"one\n"
    project.build()
    assert list(project.lock.runs) == [NAME]


def test_two_builds_that_record_at_once(project: Project) -> None:
    project.write(GET_ONE, GET_TWO)
    project.outside.pages[ONE] = chunked(*[b"one\n"] * 8, pause=0.1)
    other = replace(project, store="other")
    builds = [
        p.start("build", ".", "--iidfile", f"../{p.store}.iid", "--progress=plain") for p in (project, other)
    ]
    for build in builds:
        said, _ = build.communicate(timeout=120)
        assert build.returncode == 0, said
    first, second = ((project.folder.parent / f"{p.store}.iid").read_text() for p in (project, other))
    assert first == second
    assert project.digest("--no-cache", "--locked") == first
    assert len(project.lock.runs) == 2


def test_a_lock_that_was_deleted_is_recorded_anew(project: Project) -> None:
    project.build()
    clock = project.lock.clock
    project.lock_path.unlink()
    project.outside.pages[ONE] = b"other\n"
    time.sleep(1.1)
    project.build()
    assert project.lock.clock != clock
    assert project.outside.count(ONE) == 2


def test_the_cache_fills_a_lock_that_lacks_a_step(project: Project) -> None:
    first = project.digest()
    lock = project.lock
    write(str(project.lock_path), replace(lock, runs={}))
    assert project.digest() == first
    assert project.lock == lock
    assert project.outside.count(ONE) == 1
    write(str(project.lock_path), replace(lock, runs={}))
    said = project.build("--locked", fails=2)
    assert "lock-outdated" in said


def test_the_metadata_says_of_every_step_whether_it_was_hermetic(project: Project) -> None:
    project.outside.pages["http://example.net/"] = b"net\n"
    project.write("RUN true", GET_ONE)
    found = project.metadata()
    assert found["hermetic"] is True
    assert [(s["stage"], s["network"], s["hermetic"]) for s in found["steps"]] == [
        ("base", "none", True),
        ("app", "none", True),
        ("app", "recorded", True),
    ]
    project.write("RUN --network=host true")
    found = project.metadata("--allow", "network.host")
    assert found["hermetic"] is False
    assert found["steps"][-1]["network"] == "host"
    assert found["network-steps"] == ["RUN --network=host true"]


def test_a_build_without_lock_says_that_nothing_is_kept(project: Project) -> None:
    said = project.build("--no-lock")
    assert "warning[recording-not-kept]" in said
    assert not project.lock_path.exists()


def test_the_host_network_is_refused_offline(project: Project) -> None:
    project.write("RUN --network=host true")
    said = project.build("--allow", "network.host", "--offline", fails=1)
    assert "error[offline]" in said
    assert "RUN --network=host true" in said


def test_a_result_of_a_recorded_step_travels_with_the_lock(project: Project, tmp_path: Path) -> None:
    first = project.digest("--cache-to", f"type=local,dest={tmp_path}/cache")
    project.store = "fresh"
    said = project.build("--locked", "--cache-from", f"type=local,src={tmp_path}/cache")
    assert "0 steps executed" in said
    assert first in said
    assert project.outside.count(ONE) == 1


def test_an_ordinary_user_records_the_same_image(project: Project, ordinary_user: OrdinaryUser) -> None:
    first = project.digest()
    folder = Path(tempfile.mkdtemp(prefix="buildtool-recorded-"))
    try:
        (folder / "app").mkdir()
        shutil.copy(project.folder / "busybox", folder / "app")
        shutil.copy(project.folder / "Dockerfile", folder / "app")
        (folder / "app" / ".dockerignore").write_text("*\n!busybox\n")
        subprocess.run(["chown", "-R", f"{ordinary_user.uid}:{ordinary_user.gid}", folder], check=True)
        environment = {
            "BUILDTOOL_STORE": str(folder / "store"),
            "http_proxy": f"http://127.0.0.1:{project.outside.port}",
        }

        def digest(*options: str) -> str:
            command = ["buildtool", "build", ".", "-q", *options]
            done = ordinary_user.run(command, cwd=folder / "app", env=environment)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        recorded = digest()
        assert [e.place for e in read(str(folder / "app" / "buildtool.lock")).runs[NAME].exchanges] == [ONE]
        assert digest("--offline", "--no-cache") == recorded
        shutil.copy(project.lock_path, folder / "app" / "buildtool.lock")
        assert digest("--offline", "--no-cache") == first
    finally:
        # Files of subordinate ids are root's to remove.
        shutil.rmtree(folder, ignore_errors=True)
