"""What is elsewhere, on loopback: a web server, git repositories over HTTP; and our command line."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BACKEND = Path("/usr/lib/git-core/git-http-backend")
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
SECONDS = 1445412480

#: Git for tests: nothing of the machine's own settings, the same commits each time.
_GIT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1600000000 +0000",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "1600000000 +0000",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; its output."""
    command = ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(command, cwd=folder, env=_GIT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, message: str = "one") -> str:
    """Commit everything in a folder; the commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(folder, "config", "http.receivepack", "false")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@dataclass
class Web:
    """A running server: files by path, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)
    repositories: Path | None = None
    dated: bool = True
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    password: str = ""


@contextmanager
def web(repositories: Path | None = None) -> Iterator[Web]:
    """Serve files, and the git repositories of a folder, while the block lasts."""
    served = Web(repositories=repositories)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, served)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, served: Web) -> None:
    path, _, query = handler.path.lstrip("/").partition("?")
    served.asked.append(path)
    login = handler.headers.get("Authorization", "")
    served.logins.append(login)
    if served.password and login != served.password:
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", "Basic")
        handler.end_headers()
    elif ".git" in path and served.repositories is not None:
        _backend(handler, served.repositories, path, query)
    elif path in served.redirect:
        handler.send_response(302)
        handler.send_header("Location", served.redirect[path])
        handler.end_headers()
    elif path not in served.files:
        handler.send_error(404)
    else:
        handler.send_response(200)
        if served.dated:
            handler.send_header("Last-Modified", DATE)
        handler.send_header("Content-Length", str(len(served.files[path])))
        handler.end_headers()
        handler.wfile.write(served.files[path])


def _backend(handler: BaseHTTPRequestHandler, root: Path, path: str, query: str) -> None:
    """Answer by git's own CGI program."""
    environment = {
        **_GIT,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{path}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": handler.command,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
    }
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    done = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, check=False)
    head, _, data = done.stdout.partition(b"\r\n\r\n")
    rows = dict(row.split(": ", 1) for row in head.decode().split("\r\n") if ": " in row)
    handler.send_response(int(rows.pop("Status", "200").split()[0]))
    for name, value in rows.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


# ---------------------------------------------------------------- our command line


@dataclass
class Ran:
    """What a run of the command line gave: status, all it said, and the files of the result by path."""

    status: int
    said: str
    files: dict[str, tarfile.TarInfo] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    index: dict[str, object] = field(default_factory=dict)
    environment: list[str] = field(default_factory=list)


def build(folder: Path, *arguments: str, data: bytes = b"", out: bool = True) -> Ran:
    """`buildtool build` in a folder, on the store `store` beside it."""
    archive = folder.parent / "out.tar"
    archive.unlink(missing_ok=True)
    spec = ["-o", f"type=oci,dest={archive}"] if out else []
    done = subprocess.run(
        [sys.executable, "-m", "buildtool", "build", "--progress=plain", *spec, *arguments],
        cwd=folder,
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            **os.environ,
            "BUILDTOOL_STORE": str(folder.parent / "store"),
            "PYTHONPATH": str(ROOT),
            "no_proxy": "127.0.0.1",
        },
        timeout=120,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode("utf-8", "replace"))
    if ran.status == 0 and out:
        _read(archive, ran)
    return ran


def _read(archive: Path, ran: Ran) -> None:
    with tarfile.open(archive) as outer:
        blobs = {m.name: outer.extractfile(m) for m in outer if m.isfile()}
        ran.index = json.load(blobs["index.json"])  # type: ignore[arg-type]
        (entry,) = ran.index["manifests"]  # type: ignore[misc]
        document = json.load(_blob(blobs, entry))
        if "config" in document:
            ran.environment = json.load(_blob(blobs, document["config"]))["config"].get("Env", [])
        for layer in document.get("layers", []):
            with tarfile.open(fileobj=io.BytesIO(_blob(blobs, layer).read())) as inner:
                for member in inner:
                    ran.files[member.name] = member
                    file = inner.extractfile(member) if member.isfile() else None
                    ran.contents[member.name] = file.read() if file else b""


def _blob(blobs: dict, descriptor: dict) -> io.BufferedReader:  # type: ignore[type-arg]
    return blobs["blobs/" + descriptor["digest"].replace(":", "/")]  # type: ignore[no-any-return]
