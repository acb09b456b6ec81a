"""Commits of git repositories as archives, fetched by `file://` and from git's own HTTP backend."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from buildtool.archives.git import Git
from buildtool.archives.gitobjects import beside
from buildtool.diag import BuildError
from buildtool.graph.model import GitSource
from buildtool.store import Store
from tests.support.elsewhere import BACKEND, commit, git, web


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repositories" / "app"
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    (folder / "docs" / "a.txt").write_text("a\n")
    (folder / "docs" / "deep" / "b").write_bytes(b"")
    os.symlink("docs/a.txt", folder / "link")
    commit(folder)
    return folder


def source(store: Store, *protocols: str) -> Git:
    return Git(store.blobs, store.temporary, {"PATH": os.environ["PATH"]}, protocols or ("file",))


def files(store: Store, step: GitSource, *protocols: str) -> dict[str, tuple[int, bytes]]:
    """Mode and content, or the link's target, by path."""
    data = store.blobs.read(source(store, *protocols).fetch(step), 1 << 24)
    found: dict[str, tuple[int, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
            content = archive.extractfile(member) if member.isfile() else None
            text = content.read() if content else member.linkname.encode()
            found[member.name + "/" * member.isdir()] = (member.mode, text)
    return found


def step(folder: Path, **more: object) -> GitSource:
    return GitSource(f"file://{folder}", git(folder, "rev-parse", "HEAD"), **more)  # type: ignore[arg-type]


def test_files_of_a_commit(store: Store, repository: Path) -> None:
    assert files(store, step(repository)) == {
        "docs/": (0o755, b""),
        "docs/a.txt": (0o644, b"a\n"),
        "docs/deep/": (0o755, b""),
        "docs/deep/b": (0o644, b""),
        "link": (0o777, b"docs/a.txt"),
        "run.sh": (0o755, b"#!/bin/sh\n"),
    }


def test_a_folder_of_a_commit(store: Store, repository: Path) -> None:
    assert list(files(store, step(repository, subdir="docs"))) == ["a.txt", "deep/", "deep/b"]


@pytest.mark.parametrize("subdir", ["nowhere", "run.sh", "link", "docs/a.txt"])
def test_a_folder_that_is_none(store: Store, repository: Path, subdir: str) -> None:
    with pytest.raises(BuildError) as caught:
        source(store).fetch(step(repository, subdir=subdir))
    assert caught.value.code == "no-git-folder"


def test_line_ends_are_those_of_a_checkout_and_filters_do_not_run(
    store: Store, repository: Path, tmp_path: Path
) -> None:
    (repository / ".gitattributes").write_text("*.bat eol=crlf\n*.x filter=evil\n*.id ident\n")
    (repository / "a.bat").write_text("one\ntwo\n")
    (repository / "a.x").write_text("x\n")
    (repository / "a.id").write_text("$Id$\n")
    commit(repository)
    found = files(store, step(repository))
    assert found["a.bat"][1] == b"one\r\ntwo\r\n"
    assert found["a.x"][1] == b"x\n"
    assert found["a.id"][1].startswith(b"$Id: ")


def test_refs(store: Store, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "-m", "x", "v1")
    git(repository, "branch", "both")
    (repository / "more").write_text("more")
    second = commit(repository, "two")
    git(repository, "tag", "both")
    found = source(store)
    address = f"file://{repository}"
    assert found.commit(address, "") == second
    assert found.commit(address, "main") == second
    assert found.commit(address, "refs/heads/main") == second
    assert found.commit(address, "v1") == first
    assert found.commit(address, "both") == first
    assert found.commit(address, "refs/tags/both") == second
    with pytest.raises(BuildError) as caught:
        found.commit(address, "none")
    assert caught.value.code == "no-git-ref"


def test_a_commit_that_is_not_there(store: Store, repository: Path) -> None:
    with pytest.raises(BuildError) as caught:
        source(store).fetch(GitSource(f"file://{repository}", "0" * 40))
    assert caught.value.code == "no-git-commit"


def test_a_kept_git_folder_is_the_commit_and_the_same_each_time(
    store: Store, repository: Path, tmp_path: Path
) -> None:
    kept = step(repository, keep_git_dir=True)
    digest = source(store).fetch(kept)
    git(repository, "repack", "-adq")
    assert source(store).fetch(kept) == digest
    there = tmp_path / "there"
    with tarfile.open(fileobj=io.BytesIO(store.blobs.read(digest, 1 << 24))) as archive:
        archive.extractall(there)
    assert git(there, "fsck", "--full", "--strict") == ""
    assert git(there, "rev-parse", "HEAD") == kept.commit
    assert git(there, "status", "--porcelain") == ""
    assert git(there, "log", "--format=%s") == "one"


def test_submodules_are_read_at_their_commits(store: Store, repository: Path) -> None:
    inner = repository.parent / "inner"
    inner.mkdir()
    (inner / "f").write_text("inner\n")
    commit(inner)
    git(repository, "submodule", "--quiet", "add", "../inner", "sub/inner")
    commit(repository, "with a submodule")
    (inner / "f").write_text("later\n")
    commit(inner, "later")
    assert files(store, step(repository))["sub/inner/f"] == (0o644, b"inner\n")
    assert files(store, step(repository, subdir="sub/inner"))["f"] == (0o644, b"inner\n")
    without = files(store, step(repository, submodules=False))
    assert [name for name in without if name.startswith("sub")] == ["sub/", "sub/inner/"]


@pytest.mark.parametrize("url", ["ext::sh -c id", "/etc", "file:///etc", "--upload-pack=id", "fd::0"])
def test_a_submodule_at_an_address_of_its_own_choice(store: Store, repository: Path, url: str) -> None:
    inner = repository.parent / "inner"
    inner.mkdir()
    (inner / "f").write_text("inner\n")
    commit(inner)
    git(repository, "submodule", "--quiet", "add", "../inner", "sub")
    git(repository, "config", "-f", ".gitmodules", "submodule.sub.url", url)
    commit(repository, "evil")
    head = git(repository, "rev-parse", "HEAD")
    with web(repository.parent) as served, pytest.raises(BuildError) as caught:
        source(store, "http").fetch(GitSource(f"{served.url}/app/.git", head))
    assert caught.value.code == "bad-git-submodule"


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT"])
def test_a_tree_with_a_name_that_is_none(store: Store, repository: Path, name: bytes) -> None:
    blob = git(repository, "hash-object", "-w", "run.sh")
    tree = b"100644 " + name + b"\0" + bytes.fromhex(blob)
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
        cwd=repository, input=tree, capture_output=True, check=True,
    )  # fmt: skip
    evil = git(repository, "commit-tree", "-m", "evil", made.stdout.decode().strip())
    git(repository, "branch", "-f", "evil", evil)
    with pytest.raises(BuildError) as caught:
        source(store).fetch(GitSource(f"file://{repository}", evil))
    assert caught.value.code in ("bad-git-tree", "no-git-commit", "git-failed")


@pytest.mark.skipif(not BACKEND.exists(), reason="git's HTTP backend is not installed")
def test_over_http_with_a_login_that_goes_nowhere_else(store: Store, repository: Path) -> None:
    with web(repository.parent) as served, web(repository.parent) as elsewhere:
        served.password = "Basic bWU6c2VjcmV0"
        address = served.url.replace("http://", "http://me:secret@") + "/app/.git"
        head = source(store, "http").commit(address, "main")
        assert head == git(repository, "rev-parse", "HEAD")
        there = GitSource(f"{served.url}/app/.git", head, address=address)
        assert "run.sh" in files(store, there, "http")
        with pytest.raises(BuildError) as caught:
            source(store, "http").commit(address.replace("secret", "wrong"), "main")
        assert "wrong" not in str(caught.value.message)
        served.password = ""
        served.redirect["moved/info/refs"] = f"{elsewhere.url}/app/.git/info/refs?service=git-upload-pack"
        with pytest.raises(BuildError):
            source(store, "http").commit(f"{address.partition('/app')[0]}/moved", "main")
        assert elsewhere.logins == []


def test_nothing_is_left_behind(store: Store, repository: Path) -> None:
    source(store).fetch(step(repository))
    names = [n for n in os.listdir(store.path + "/tmp") if "git" in n]
    assert names == []


def test_addresses_beside_others() -> None:
    assert beside("https://host/a/b.git", "../c.git") == "https://host/a/c.git"
    assert beside("https://host/a/b.git", "../../c.git") == "https://host/c.git"
    assert beside("git@host:a/b.git", "../c.git") == "git@host:a/c.git"
    with pytest.raises(BuildError):
        beside("https://host/b.git", "../../c.git")
