"""A registry in memory that does what a test tells it to: every request first goes to `script`."""

import hashlib
import itertools
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Answer:
    """What is sent back; `cut` bytes of the body are sent before the connection ends, None for all."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


Script = Callable[[Seen], Answer | None]


class Registry:
    """The distribution-spec in a few lines, for one thread at a time of a test."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.seen: list[Seen] = []
        self.script: Script = lambda seen: None
        #: Bytes of a request's body that are read before its connection is cut; None for all.
        self.read_limit: Callable[[Seen], int | None] = lambda seen: None
        self.address = ""
        self._numbers = itertools.count(1)

    def add_blob(self, data: bytes) -> str:
        """Put a blob in; its digest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def methods(self, method: str) -> list[Seen]:
        """The requests of one method."""
        return [s for s in self.seen if s.method == method]

    def answer(self, seen: Seen) -> Answer:
        self.seen.append(seen)
        return self.script(seen) or self._own(seen)

    def _own(self, seen: Seen) -> Answer:
        path = urlsplit(seen.path).path
        query = {k: v[0] for k, v in parse_qs(urlsplit(seen.path).query).items()}
        if path == "/v2/":
            return Answer(200)
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            return self._manifest(seen, found[1], found[2])
        if found := re.fullmatch(r"/v2/(.+)/blobs/(sha256:.+)", path):
            return self._blob(seen, found[2])
        if found := re.fullmatch(r"/v2/(.+)/blobs/uploads/(.*)", path):
            return self._upload(seen, found[1], found[2], query)
        return Answer(404)

    def _manifest(self, seen: Seen, name: str, version: str) -> Answer:
        if seen.method == "PUT":
            digest = "sha256:" + hashlib.sha256(seen.body).hexdigest()
            for key in (version, digest):
                self.manifests[name, key] = (seen.headers["content-type"], seen.body)
            return Answer(201, {"Docker-Content-Digest": digest})
        kind, data = self.manifests.get((name, version), ("", b""))
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return (
            Answer(200, {"Content-Type": kind, "Docker-Content-Digest": digest}, data)
            if data
            else Answer(404)
        )

    def _blob(self, seen: Seen, digest: str) -> Answer:
        data = self.blobs.get(digest)
        if data is None:
            return Answer(404)
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)", seen.headers.get("range", "")):
            first, last = int(found[1]), int(found[2])
            said = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            return Answer(206, said, data[first : last + 1])
        return Answer(200, {"Docker-Content-Digest": digest}, data)

    def _upload(self, seen: Seen, name: str, upload: str, query: dict[str, str]) -> Answer:
        if seen.method == "POST":
            if query.get("mount") in self.blobs:
                return Answer(201, {"Location": f"/v2/{name}/blobs/{query['mount']}"})
            upload = str(next(self._numbers))
            self.uploads[upload] = bytearray()
            return Answer(202, {"Location": f"/v2/{name}/blobs/uploads/{upload}"})
        if upload not in self.uploads:
            return Answer(404)
        data = self.uploads[upload]
        where = {"Location": f"/v2/{name}/blobs/uploads/{upload}"}
        if seen.method in ("PATCH", "PUT"):
            first = seen.headers.get("content-range", f"{len(data)}-").partition("-")[0]
            if int(first) != len(data):
                return Answer(416, {**where, "Range": f"0-{len(data) - 1}"})
            data += seen.body
        if seen.method == "PUT":
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            if digest != query["digest"]:
                return Answer(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest invalid"}]}')
            self.blobs[digest] = bytes(data)
            return Answer(201, {"Docker-Content-Digest": digest})
        status = 204 if seen.method == "GET" else 202
        return Answer(status, {**where, "Range": f"0-{max(0, len(data) - 1)}"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    registry: Registry

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers)
        size = int(headers.get("content-length", "0"))
        limit = self.registry.read_limit(seen)
        if limit is not None and limit < size:
            seen.body = self.rfile.read(limit)
            self.registry.seen.append(seen)
            upload = urlsplit(self.path).path.rpartition("/")[2]
            if upload in self.registry.uploads:
                self.registry.uploads[upload] += seen.body
            self._end()
            return
        seen.body = self.rfile.read(size)
        answer = self.registry.answer(seen)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = answer.body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if answer.cut is None else body[: answer.cut])
        if answer.cut is not None:
            self._end()

    def _end(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    """A registry that listens at `registry.address`, by TLS if that is given."""
    registry = Registry()
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = ThreadingHTTPServer((host, 0), handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.address = f"{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
