"""Git's smart protocol over HTTP, served by git's own backend."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.upstream import Call, Page

_IDENTITY = {
    name: value
    for who in ("AUTHOR", "COMMITTER")
    for name, value in (
        (f"GIT_{who}_NAME", "A"),
        (f"GIT_{who}_EMAIL", "a@example.org"),
        (f"GIT_{who}_DATE", "1600000000 +0000"),
    )
}


def git(folder: Path, *argv: str) -> str:
    """Run git in a folder; what it printed."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
    return subprocess.run(
        ["git", "-C", str(folder), *argv], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def repository(folder: Path, files: int = 3) -> str:
    """Make a repository with a commit for each file; the newest commit."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for n in range(files):
        (folder / f"file{n}").write_text(f"content {n}\n" * 1000)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", f"commit {n}")
    return git(folder, "rev-parse", "HEAD")


def pages(base: str, folder: Path) -> dict[str, Page]:
    """The pages of a repository for the address `base` (`https://HOST/NAME.git`)."""

    def serve(call: Call) -> None:
        parts = urlsplit(call.url)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": parts.path.removeprefix(urlsplit(base).path),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": call.command,
            "CONTENT_TYPE": call.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": call.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": call.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(call.body)),
        }
        backend = ["git", "http-backend"]
        answer = subprocess.run(backend, env=env, input=call.body, capture_output=True, check=True).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        fields = dict(row.split(": ", 1) for row in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        call.reply(status, body, **{name.replace("-", "_"): value for name, value in fields.items()})

    names = ("info/refs", "git-upload-pack", "HEAD")
    return {f"{base}/{name}": serve for name in names}
