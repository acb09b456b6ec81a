"""Contexts from elsewhere by the command line: standard input, git repositories, URLs, named ones."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.support.elsewhere import BACKEND, Ran, build, commit, web

needs_git = pytest.mark.skipif(not BACKEND.exists(), reason="git's HTTP backend is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    return made


def archive(files: dict[str, bytes], *links: tuple[str, str], mode: str = "w:gz") -> bytes:
    """A tar archive whose files belong to 5:6 and are of the second 1000."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.gid, member.mtime, member.mode = len(data), 5, 6, 1000, 0o640
            made.addfile(member, io.BytesIO(data))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            made.addfile(member)
    return out.getvalue()


def good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.said
    return ran


def test_a_dockerfile_in_small_letters_will_do_where_there_is_no_other(folder: Path) -> None:
    (folder / "dockerfile").write_text("FROM scratch\nCOPY dockerfile /small\n")
    (folder / "Dockerfile.dockerignore").write_text("*.md\n")
    (folder / "a.md").touch()
    assert list(good(build(folder, str(folder))).files) == ["small"]
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    files = good(build(folder, "-f", str(folder / "Dockerfile"), str(folder))).files
    assert set(files) == {"Dockerfile", "Dockerfile.dockerignore", "dockerfile"}


# ---------------------------------------------------------------- standard input


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_archive_on_standard_input(folder: Path, mode: str) -> None:
    data = archive({"Dockerfile": b"FROM scratch\nCOPY a /b\n", "a": b"text"}, mode=mode)
    ran = good(build(folder, "-", data=data))
    assert ran.contents["b"] == b"text"
    member = ran.files["b"]
    assert (member.uid, member.gid, member.mode, member.mtime) == (5, 6, 0o640, 1000)


def test_the_dockerfile_of_an_archive_is_named_by_f_and_may_be_a_link(folder: Path) -> None:
    files = {"sub/real": b"FROM scratch\nCOPY a /b\n", "a": b"text"}
    data = archive(files, ("Other", "sub/real"), ("Loop", "Loop"), ("Out", "../../../../etc/hostname"))
    assert good(build(folder, "-f", "Other", "-", data=data)).contents["b"] == b"text"
    for name in ("Loop", "Out", "Dockerfile", "../../etc/passwd"):
        ran = build(folder, "-f", name, "-", data=data)
        assert ran.status not in (0, 70), ran.said
        assert "Traceback" not in ran.said


def test_an_archive_does_not_reach_out_of_the_context(folder: Path) -> None:
    files = {"Dockerfile": b"FROM scratch\nCOPY up/hostname /x\n", "../../outside": b"x"}
    data = archive(files, ("up", "../../../../../../../etc"), mode="w")
    ran = build(folder, "-", data=data)
    assert ran.status != 0
    assert "no" in ran.said
    assert not (folder.parent / "outside").exists()


def test_a_dockerfile_on_standard_input_has_no_context(folder: Path) -> None:
    (folder / "a").write_text("text")
    assert good(build(folder, "-", data=b"FROM scratch\nWORKDIR /w\n")).files["w"].isdir()
    ran = build(folder, "-", data=b"FROM scratch\nCOPY a /b\n")
    assert ran.status != 0
    assert "there is no '/a' to copy" in ran.said
    assert "contradict" in build(folder, "-f", "-", "-").said or build(folder, "-f", "-", "-").status != 0


# ---------------------------------------------------------------- git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "served" / "app.git"
    (made / "sub").mkdir(parents=True)
    (made / "a").write_text("text\n")
    (made / "Dockerfile").write_text("FROM scratch\nCOPY . /all/\n")
    (made / "sub" / "Dockerfile").write_text("FROM scratch\nCOPY b run.sh /\n")
    (made / "sub" / "b").write_text("below\n")
    (made / "sub" / "run.sh").write_text("run\n")
    (made / "sub" / "run.sh").chmod(0o755)
    os.symlink("../a", made / "sub" / "up")
    commit(made)
    return made


@needs_git
def test_a_git_repository(folder: Path, repository: Path) -> None:
    with web(repository.parent) as served:
        ran = good(build(folder, f"{served.url}/app.git"))
        assert ran.contents["all/a"] == b"text\n"
        assert "all/.git" not in ran.files
        assert (ran.files["all/a"].mode, ran.files["all/a"].uid) == (0o644, 0)
        assert os.listdir(folder) == []


@needs_git
def test_a_folder_of_a_ref(folder: Path, repository: Path) -> None:
    with web(repository.parent) as served:
        ran = good(build(folder, f"{served.url}/app.git#main:sub"))
        assert ran.contents["b"] == b"below\n"
        assert ran.files["run.sh"].mode == 0o755
        for wrong in ("#main:..", "#main:sub/up", "#none", "#main:nowhere", "#main:../../etc", "#--help"):
            failed = build(folder, f"{served.url}/app.git{wrong}")
            assert failed.status not in (0, 70), wrong
            assert "Traceback" not in failed.said


@needs_git
def test_a_link_out_of_the_folder_leads_nowhere(folder: Path, repository: Path) -> None:
    (repository / "sub" / "Dockerfile").write_text("FROM scratch\nCOPY up /up\n")
    commit(repository, "two")
    with web(repository.parent) as served:
        ran = build(folder, f"{served.url}/app.git#main:sub")
        assert ran.status != 0
        assert "there is no" in ran.said


@needs_git
def test_the_lock_of_a_repository_is_obeyed(folder: Path, repository: Path) -> None:
    with web(repository.parent) as served:
        served.files["f"] = b"one\n"
        (repository / "Dockerfile").write_text(f"FROM scratch\nADD {served.url}/f /f\n")
        commit(repository, "unpinned")
        ran = good(build(folder, f"{served.url}/app.git"))
        assert "lock-not-kept" in ran.said or "is not kept" in ran.said
        assert build(folder, "--locked", f"{served.url}/app.git").status != 0
        good(build(repository, "."))
        commit(repository, "pinned")
        served.files["f"] = b"two\n"
        ran = good(build(folder, "--locked", f"{served.url}/app.git"))
        assert ran.contents["f"] == b"one\n"


# ---------------------------------------------------------------- URLs


def test_an_archive_by_its_url(folder: Path) -> None:
    with web() as served:
        served.files["c.tgz"] = archive({"Dockerfile": b"FROM scratch\nCOPY a /b\n", "a": b"text"})
        ran = good(build(folder, f"{served.url}/c.tgz?token=canary"))
        assert ran.contents["b"] == b"text"
        assert "canary" not in ran.said


def test_a_dockerfile_by_its_url(folder: Path) -> None:
    with web() as served:
        served.files["some/Dockerfile.x"] = b"FROM scratch\nWORKDIR /w\nCOPY context /c\n"
        ran = good(build(folder, f"{served.url}/some/Dockerfile.x"))
        assert ran.contents["c"] == served.files["some/Dockerfile.x"]
        assert "404" in build(folder, f"{served.url}/none").said


# ---------------------------------------------------------------- named contexts


@needs_git
def test_named_contexts_are_pinned(folder: Path, repository: Path) -> None:
    (folder / "Dockerfile").write_text(
        "FROM scratch\nCOPY --from=repo sub/b /b\nCOPY --from=file f.tgz /\nCOPY --from=unused x /\n"
    )
    text = (folder / "Dockerfile").read_text().replace("COPY --from=unused x /\n", "")
    (folder / "Dockerfile").write_text(text)
    with web(repository.parent) as served:
        served.files["f.tgz"] = archive({"a": b"text"})
        named = (
            "--build-context", f"repo={served.url}/app.git#main",
            "--build-context", f"file={served.url}/f.tgz",
            "--build-context", f"unused={served.url}/none",
        )  # fmt: skip
        ran = good(build(folder, *named, "."))
        assert ran.contents["b"] == b"below\n"
        assert ran.contents["f.tgz"] == served.files["f.tgz"]
        assert ran.files["f.tgz"].mode == 0o600
        lock = (folder / "buildtool.lock").read_text()
        assert "app.git#main" in lock
        assert "f.tgz" in lock
        (repository / "sub" / "b").write_text("later\n")
        commit(repository, "two")
        assert good(build(folder, "--locked", *named, ".")).index == ran.index


@needs_git
def test_a_stage_may_begin_with_a_named_repository(folder: Path, repository: Path) -> None:
    (folder / "Dockerfile").write_text("FROM repo\nWORKDIR /w\n")
    with web(repository.parent) as served:
        ran = good(build(folder, "--build-context", f"repo={served.url}/app.git#main:sub", "."))
        assert ran.contents["b"] == b"below\n"


def test_an_image_of_a_registry_is_told_to_be_out_of_reach(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM base\n")
    ran = build(folder, "--build-context", "base=docker-image://127.0.0.1:1/alpine:3", "--retry=0", ".")
    assert ran.status != 0
    assert "cannot get 127.0.0.1:1/alpine:3: no connection to 127.0.0.1:1" in ran.said


@needs_git
def test_a_token_goes_to_hosts_that_the_command_line_names(folder: Path, repository: Path) -> None:
    (folder.parent / "token").write_text("canary\n")
    secret = ("--secret", f"id=GIT_AUTH_TOKEN,src={folder.parent}/token")
    with web(repository.parent) as served, web(repository.parent) as other:
        served.password = "Basic eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5"
        assert build(folder, f"{served.url}/app.git").status != 0
        ran = good(build(folder, *secret, f"{served.url}/app.git"))
        assert ran.contents["all/a"] == b"text\n"
        (folder / "Dockerfile").write_text(
            f"FROM scratch\nADD {other.url}/app.git /d\nCOPY --from=named a /n\n"
        )
        good(build(folder, *secret, "--build-context", f"named={served.url}/app.git", "."))
        assert not any(other.logins), "a Dockerfile names this host, and nobody else"
        for_host = (
            "--secret",
            f"id=GIT_AUTH_TOKEN.{other.url.removeprefix('http://')},src={folder.parent}/token",
        )
        other.password = served.password
        (folder / "Dockerfile").write_text(f"FROM scratch\nADD {other.url}/app.git#main:sub /d\n")
        assert build(folder, *secret, ".").status != 0
        again = good(build(folder, *for_host, "."))
        assert again.contents["d/b"] == b"below\n"
    for path in [*(folder.parent / "store").rglob("*"), *folder.rglob("*")]:
        assert not path.is_file() or b"canary" not in path.read_bytes(), path
    assert "canary" not in again.said


# ---------------------------------------------------------------- targets and layouts


TARGETS = """load("@rules//image.star", "image")
load("@rules//layer.star", "layer")
layer(name = "data", srcs = ["d"], dest = "/data")
image(name = "base", layers = [":data"], env = {"FROM_TARGET": "yes"})
"""


@pytest.fixture
def workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that the tests stand in, with a target `//pkg:base`."""
    root = folder / "ws"
    (root / "pkg").mkdir(parents=True)
    (root / "buildtool.toml").write_text("")
    (root / "pkg" / "BUILD.star").write_text(TARGETS)
    (root / "pkg" / "d").write_text("of the target\n")
    monkeypatch.chdir(root)
    return root


def test_a_target_takes_the_place_of_a_base(workspace: Path) -> None:
    (workspace / "Dockerfile").write_text("FROM node:20-slim\nCOPY --from=tools /data/d /copied\n")
    contexts = (
        "--build-context",
        "node:20-slim=target://pkg:base",
        "--build-context",
        "tools=target://pkg:base",
    )
    ran = good(build(workspace, *contexts, "."))
    assert ran.contents["copied"] == ran.contents["data/d"] == b"of the target\n"
    assert "FROM_TARGET=yes" in ran.environment


@pytest.mark.parametrize(
    ("place", "wording"),
    [
        ("target://pkg:bsae", "did you mean //pkg:base?"),
        ("target://nowhere:x", "no package //nowhere"),
        ("target:", "label"),
        ("weird://x", "is not a folder"),
    ],
)
def test_a_context_that_is_not_there_says_so(workspace: Path, place: str, wording: str) -> None:
    (workspace / "Dockerfile").write_text("FROM base\n")
    ran = build(workspace, "--build-context", f"base={place}", ".")
    assert ran.status == 2
    assert wording in ran.said
    assert good(
        build(
            workspace, "--build-context", f"unused={place}", "-f", "-", ".", data=b"FROM scratch\nWORKDIR /w"
        )
    )


def test_a_layout_is_looked_up_for_the_platform_that_from_names(workspace: Path) -> None:
    (workspace / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nENV ARCH=$TARGETARCH\nWORKDIR /w\n")
    both = ("--platform", "linux/amd64,linux/arm64", "-o", f"type=oci,tar=false,dest={workspace}/layout")
    good(build(workspace, *both, "."))
    (workspace / "Dockerfile").write_text(
        "FROM --platform=linux/arm64 base AS other\nRUN true\nFROM --platform=linux/arm64 base\nLABEL a=b\n"
    )
    ran = good(build(workspace, "--build-context", f"base=oci-layout://{workspace}/layout", "."))
    assert "ARCH=arm64" in ran.environment
