"""ADD of URLs and git repositories by the command line, against servers on loopback."""

from pathlib import Path

import pytest

from tests.support.elsewhere import BACKEND, SECONDS, build, commit, git, web


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    return made


def dockerfile(folder: Path, *rows: str) -> None:
    (folder / "Dockerfile").write_text("\n".join(("FROM scratch", *rows)) + "\n")


def test_a_file_has_the_servers_time_and_is_pinned(folder: Path) -> None:
    with web() as served:
        served.files["a/f.txt"] = b"one\n"
        dockerfile(folder, f"ADD {served.url}/a/f.txt /d/")
        first = build(folder, ".")
        assert first.status == 0, first.said
        member = first.files["d/f.txt"]
        assert (member.mode, member.uid, member.mtime) == (0o600, 0, SECONDS)
        lock = (folder / "buildtool.lock").read_text()
        assert f'"{served.url}/a/f.txt" = "sha256:' in lock
        assert ' 4 2015-10-21T07:28:00Z"' in lock

        served.files["a/f.txt"] = b"two\n"
        served.dated = False
        asked = len(served.asked)
        again = build(folder, "--locked", ".")
        assert again.status == 0, again.said
        assert again.index == first.index
        assert len(served.asked) == asked


def test_a_pinned_file_that_has_changed_is_refused(folder: Path) -> None:
    with web() as served:
        served.files["f"] = b"one\n"
        dockerfile(folder, f"ADD {served.url}/f /f")
        assert build(folder, ".").status == 0
        served.files["f"] = b"two\n"
        (folder.parent / "store").rename(folder.parent / "old-store")
        ran = build(folder, ".")
        assert ran.status != 0
        assert "serves other bytes" in ran.said
        assert "Dockerfile:2" in ran.said


def test_locked_refuses_a_new_file(folder: Path) -> None:
    with web() as served:
        served.files["f"] = b"one\n"
        dockerfile(folder, f"ADD {served.url}/f /f")
        ran = build(folder, "--locked", ".")
        assert ran.status != 0
        assert "the lock would change" in ran.said
        assert served.asked == []
        assert not (folder / "buildtool.lock").exists()


def test_a_checksum_that_is_wrong(folder: Path) -> None:
    with web() as served:
        served.files["f"] = b"one\n"
        dockerfile(folder, f"ADD --checksum=sha256:{'0' * 64} {served.url}/f /f")
        ran = build(folder, ".")
        assert ran.status != 0
        assert "another file than its checksum says" in ran.said
        assert "Dockerfile:2" in ran.said


def test_a_changed_checksum_takes_the_new_file(folder: Path) -> None:
    import hashlib

    with web() as served:
        for text in (b"one\n", b"two\n"):
            served.files["f"] = text
            digest = hashlib.sha256(text).hexdigest()
            dockerfile(folder, f"ARG SUM=sha256:{digest}", f"ADD --checksum=$SUM {served.url}/f /f")
            ran = build(folder, ".")
            assert ran.status == 0, ran.said
            assert ran.contents["f"] == text
        assert (folder / "buildtool.lock").read_text().count("sha256:") == 1


def test_redirects_are_followed_and_a_missing_file_is_named(folder: Path) -> None:
    with web() as served:
        served.files["there"] = b"x"
        served.redirect["here"] = "/there"
        dockerfile(folder, f"ADD {served.url}/here /d/", f"ADD {served.url}/none /e")
        ran = build(folder, ".")
        assert ran.status != 0
        assert "the server answers 404" in ran.said
        assert "Dockerfile:3" in ran.said
        dockerfile(folder, f"ADD {served.url}/here /d/")
        assert build(folder, ".").contents["d/here"] == b"x"


def test_credentials_are_neither_stored_nor_shown(folder: Path) -> None:
    with web() as served:
        served.files["f"] = b"one\n"
        served.password = "Basic bWU6Y2FuYXJ5"
        address = served.url.replace("http://", "http://me:canary@")
        dockerfile(folder, f"ADD {address}/f?token=canary&v=1 /f", f"ADD {address}/none /g")
        failed = build(folder, ".")
        dockerfile(folder, f"ADD {address}/f?token=canary&v=1 /f")
        ran = build(folder, ".")
        assert ran.status == 0, ran.said
        assert ran.contents["f"] == b"one\n"
        assert f'"{served.url}/f?v=1"' in (folder / "buildtool.lock").read_text()
        assert "canary" not in failed.said + ran.said
        for path in [*(folder.parent / "store").rglob("*"), folder / "buildtool.lock"]:
            if path.is_file():
                assert b"canary" not in path.read_bytes(), path
        assert b"canary" not in (folder.parent / "out.tar").read_bytes()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("COPY http://127.0.0.1:1/f /f", "COPY does not copy from a URL"),
        ("COPY https://127.0.0.1:1/x.git /f", "COPY does not copy from a git repository"),
        ("ADD --checksum=sha256:00 http://127.0.0.1:1/f /f", "is not a digest"),
        ("ADD https://127.0.0.1:1/x.git#main:../.. /f", "leads out of the repository"),
        ("ADD --checksum=XYZ https://127.0.0.1:1/x.git#main /f", "is not a commit"),
    ],
)
def test_mistakes(folder: Path, row: str, text: str) -> None:
    dockerfile(folder, row)
    ran = build(folder, ".")
    assert ran.status != 0
    assert text in ran.said
    assert "Dockerfile:2" in ran.said


@pytest.mark.skipif(not BACKEND.exists(), reason="git's HTTP backend is not installed")
def test_git_repositories_are_pinned_to_a_commit(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "served" / "app.git"
    (repository / "docs").mkdir(parents=True)
    (repository / "docs" / "a").write_text("one\n")
    (repository / "run").write_text("run\n")
    (repository / "run").chmod(0o755)
    first = commit(repository)
    with web(repository.parent) as served:
        address = f"{served.url}/app.git"
        dockerfile(
            folder,
            f"ADD {address} /src",
            f"ADD --checksum={first[:8]} {address}#main:docs /docs/",
            f"ADD --keep-git-dir {address}#{first} /kept",
        )
        ran = build(folder, ".")
        assert ran.status == 0, ran.said
        assert {n: m.mode for n, m in ran.files.items() if n.startswith("src")} == {
            "src": 0o755, "src/docs": 0o755, "src/docs/a": 0o644, "src/run": 0o755,
        }  # fmt: skip
        assert ran.contents["docs/a"] == b"one\n"
        assert ran.contents["kept/.git/HEAD"].decode().strip() == first
        lock = (folder / "buildtool.lock").read_text()
        assert f'"{address}#HEAD" = "{first}"' in lock
        assert f'"{address}#main" = "{first}"' in lock

        (repository / "docs" / "a").write_text("two\n")
        git(repository, "config", "receive.denyCurrentBranch", "ignore")
        second = commit(repository, "two")
        again = build(folder, "--locked", ".")
        assert again.status == 0, again.said
        assert again.index == ran.index

        dockerfile(folder, f"ADD --checksum={second[:8]} {address}#main:docs /docs/")
        assert "the lock would change" in build(folder, "--locked", ".").said
        assert build(folder, ".").contents["docs/a"] == b"two\n"
        dockerfile(folder, f"ADD --checksum=0000 {address}#main:docs /docs/")
        assert f"is {second}, not 0000" in build(folder, ".").said
