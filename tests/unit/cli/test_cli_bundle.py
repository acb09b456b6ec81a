"""`buildtool lock bundle` and `--bundle`: a build elsewhere, without any network."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.recorded import BUSYBOX, Project
from tests.support.scripted_registry import serving
from tests.support.upstream import outside

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(BUSYBOX is None or shutil.which("crun") is None, reason="no busybox, or no crun"),
]

ONE, FILE = "http://example.org/one", "http://example.org/file"
UNPLUGGED = ("unshare", "--net")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with outside(tmp_path) as internet:
        internet.pages |= {ONE: b"one\n", FILE: b"file\n"}
        made = Project(tmp_path / "app", internet)
        made.write(f"ADD {FILE} /file", f"RUN wget -qO /one {ONE}")
        yield made


def test_a_bundle_is_all_that_another_store_needs(project: Project) -> None:
    first = project.digest()
    said = project.run("lock", "bundle", "../bundle")
    assert said.splitlines()[-1].startswith("../bundle: 2 blobs, sha256:")
    project.outside.pages.clear()
    other = replace(project, store="other")
    said = other.build("--offline", fails=1, prefix=UNPLUGGED)
    assert "error[offline]" in said
    assert "cannot fetch file" in said
    assert other.digest("--offline", "--bundle", "../bundle", prefix=UNPLUGGED) == first
    third = replace(project, store="third")
    assert third.digest("--bundle", "../bundle") == first


def test_bundling_again_gives_the_same(project: Project) -> None:
    project.build()
    first, second = (project.run("lock", "bundle", f"../{n}").partition(": ")[2] for n in ("one", "two"))
    assert first == second
    project.run("lock", "bundle", "../one")
    assert (project.folder.parent / "one" / "index.json").read_text().count("sha256:") == 1


def test_a_bundle_needs_a_whole_lock_and_every_answer(project: Project) -> None:
    assert "lock-outdated" in project.run("lock", "bundle", "../bundle", fails=2)
    project.build()
    (exchange,) = project.lock.runs["app 1 linux/amd64"].exchanges
    assert exchange.body is not None
    project.body(exchange.body).unlink()
    said = project.run("lock", "bundle", "../bundle", fails=1)
    assert "body-missing" in said
    assert ONE in said
    project.build("--no-cache")
    project.run("lock", "bundle", "../bundle")


def test_a_corrupt_bundle_is_told(project: Project) -> None:
    project.build()
    project.run("lock", "bundle", "../bundle")
    (exchange,) = project.lock.runs["app 1 linux/amd64"].exchanges
    assert exchange.body is not None
    path = project.folder.parent / "bundle" / "blobs" / "sha256" / exchange.body.removeprefix("sha256:")
    path.write_bytes(b"eno\n")
    other = replace(project, store="other")
    said = other.build("--offline", "--bundle", "../bundle", fails=1)
    assert "corrupt-blob" in said
    assert "../bundle" in said


def test_what_is_no_bundle(project: Project) -> None:
    project.build("-o", "type=oci,dest=../layout,tar=false")
    other = replace(project, store="other")
    assert "no-bundle" in other.build("--offline", "--bundle", "../layout", fails=2)
    assert "bad-layout" in other.build("--offline", "--bundle", "../none", fails=2)


def test_a_pushed_bundle_is_taken_without_being_named(project: Project) -> None:
    first = project.digest()
    with serving() as registry:
        project.environment["no_proxy"] = "127.0.0.1"
        name = f"{registry.address}/bodies:app"
        said = project.run("lock", "push", name)
        assert said.splitlines()[-1].startswith(f"{name}@sha256:")
        assert project.lock.bundle == name
        project.outside.pages.clear()
        other = replace(project, store="other")
        assert other.digest("--locked") == first
        asked = len(project.outside.asked)
        assert project.digest("--locked") == first
        assert len(project.outside.asked) == asked
        third = replace(project, store="third")
        assert "error[offline]" in third.build("--offline", fails=1)
        registry.manifests.clear()
        said = third.build(fails=1)
        assert "warning[bundle-unusable]" in said


def test_a_registry_that_serves_other_bytes_is_not_believed(project: Project) -> None:
    project.build()
    with serving() as registry:
        project.environment["no_proxy"] = "127.0.0.1"
        project.run("lock", "push", f"{registry.address}/bodies:app")
        for digest in registry.blobs:
            registry.blobs[digest] = b"eno\n"
        project.outside.pages[ONE] = b"eno\n"
        other = replace(project, store="other")
        said = other.build(fails=1)
        assert "warning[bundle-unusable]" in said
        assert "body-changed" in said
