"""Serving: the HTTP side of a store as a registry (distribution-spec 1.1, "API").

For programs of this machine: it listens on loopback, takes requests that name it so
(a web page cannot make a browser speak to it under another name), and asks for a user
and a password where it is given some.
"""

import base64
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from buildtool.diag import BuildError
from buildtool.oci.model import INDEX, LARGEST_DOCUMENT
from buildtool.registry.place import host_only, is_loopback
from buildtool.registry.sessions import Session, Sessions
from buildtool.registry.shelf import Refused, Shelf, check_name
from buildtool.store import Store

_CHUNK = 1 << 20
#: Seconds without a byte after which a connection is given up.
_SILENCE = 120.0
_MOST_CONNECTIONS = 128
_MOST_LISTED = 10_000
_ROUTES = (
    (re.compile(r"/v2/(?P<path>.+)/manifests/(?P<version>[^/]+)"), "manifest"),
    (re.compile(r"/v2/(?P<path>.+)/blobs/uploads/(?P<upload>[^/]*)"), "upload"),
    (re.compile(r"/v2/(?P<path>.+)/blobs/(?P<digest>[^/]+)"), "blob"),
    (re.compile(r"/v2/(?P<path>.+)/tags/list"), "tags"),
    (re.compile(r"/v2/(?P<path>.+)/referrers/(?P<digest>[^/]+)"), "referrers"),
)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: `logins` are passwords by user, none for anyone; `read_only` takes nothing."""

    shelf: Shelf
    sessions: Sessions
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_only: bool = False
    told: Callable[[str], None] = lambda line: None


class Server(ThreadingHTTPServer):
    """A registry at an address; `address` is what it really listens at."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        host: str,
        port: int,
        store: Store,
        *,
        logins: Mapping[str, str] | None = None,
        read_only: bool = False,
        told: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        sessions = Sessions(store.blobs)
        served = Served(Shelf(store), sessions, logins or {}, read_only, told)
        super().__init__((host, port), type("Handler", (_Handler,), {"served": served}))
        self.host = host
        self.address = f"{host}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection once there is room for it."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks off is nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "buildtool"
    sys_version = ""
    timeout = _SILENCE
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    served: Served

    # ------------------------------------------------------------ one request

    def _serve(self) -> None:
        self._body_read = False
        try:
            self._check_host()
            self._check_login()
            self._route()
        except Refused as refused:
            self._refuse(refused)
        except BuildError as error:
            self._refuse(Refused(500, "UNKNOWN", error.message))

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def _route(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.path in ("/v2", "/v2/"):
            self._answer(200, b"{}", {"Content-Type": "application/json"})
            return
        if parts.path == "/v2/_catalog":
            self._list("repositories", self.served.shelf.repositories(), query, "/v2/_catalog", {})
            return
        for pattern, name in _ROUTES:
            if found := pattern.fullmatch(parts.path):
                words = found.groupdict()
                check_name(words["path"])
                verb = "get" if self.command == "HEAD" else self.command.lower()
                method = getattr(self, f"_{verb}_{name}", None)
                if method is None or (self.served.read_only and verb != "get"):
                    raise Refused(405, "UNSUPPORTED", f"{self.command} is not possible here")
                method(query=query, **words)
                return
        raise Refused(404, "NAME_UNKNOWN", "there is nothing here")

    def _check_host(self) -> None:
        assert isinstance(self.server, Server)
        bound = self.server.host
        host = self.headers.get("Host", "")
        if is_loopback(bound) and not is_loopback(host) and host_only(host) != bound:
            raise Refused(403, "DENIED", "this registry is for this machine, under its own names")

    def _check_login(self) -> None:
        logins = self.served.logins
        if not logins:
            return
        kind, _, packed = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(packed).decode().partition(":")
        except ValueError:
            user = password = ""
        known = logins.get(user, "")
        right = hmac.compare_digest(known.encode(), password.encode())
        if kind.lower() != "basic" or user not in logins or not right:
            raise Refused(401, "UNAUTHORIZED", "a login is needed")

    # ------------------------------------------------------------ manifests

    def _get_manifest(self, path: str, version: str, query: Mapping[str, str]) -> None:
        found = self.served.shelf.manifest(path, version)
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        self._answer(200, found.data, headers)

    def _put_manifest(self, path: str, version: str, query: Mapping[str, str]) -> None:
        data = b"".join(self._body(LARGEST_DOCUMENT))
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip()
        digest, subject = self.served.shelf.put(path, version, media_type, data)
        headers = {"Location": f"/v2/{path}/manifests/{digest}", "Docker-Content-Digest": digest}
        self._answer(201, b"", {**headers, **({"OCI-Subject": subject} if subject else {})})

    def _delete_manifest(self, path: str, version: str, query: Mapping[str, str]) -> None:
        self.served.shelf.delete(path, version)
        self._answer(202, b"", {})

    def _get_referrers(self, path: str, digest: str, query: Mapping[str, str]) -> None:
        kind = query.get("artifactType", "")
        data = self.served.shelf.referrers(path, digest, kind)
        applied = {"OCI-Filters-Applied": "artifactType"} if kind else {}
        self._answer(200, data, {"Content-Type": INDEX, **applied})

    def _get_tags(self, path: str, query: Mapping[str, str]) -> None:
        self._list("tags", self.served.shelf.tags(path), query, f"/v2/{path}/tags/list", {"name": path})

    def _list(
        self, key: str, items: list[str], query: Mapping[str, str], target: str, more: Mapping[str, str]
    ) -> None:
        """A page of a list: `n` items after `last`, and a link to the next page."""
        count = query.get("n", "")
        if count and not count.isdecimal():
            raise Refused(400, "UNSUPPORTED", "n is a number")
        left = [item for item in items if item > query.get("last", "")]
        size = min(int(count[:9]) if count else _MOST_LISTED, _MOST_LISTED)
        page = left[:size]
        headers = {"Content-Type": "application/json"}
        if page and len(left) > size:
            link = urlencode({"n": size, "last": page[-1]})
            headers["Link"] = f'<{target}?{link}>; rel="next"'
        self._answer(200, json.dumps({**more, key: page}).encode(), headers)

    # ------------------------------------------------------------ blobs

    def _get_blob(self, path: str, digest: str, query: Mapping[str, str]) -> None:
        found, size = self.served.shelf.blob_size(digest)
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": found,
            "Accept-Ranges": "bytes",
        }
        first, last = self._range(size)
        partial = (first, last) != (0, size - 1)
        if partial:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._head(206 if partial else 200, last - first + 1, headers)
        if self.command == "HEAD":
            return
        with self.served.shelf.store.blobs.open(found) as blob:
            left, skip = last - first + 1, first
            while skip and (data := blob.read(min(_CHUNK, skip))):
                skip -= len(data)
            while left and (data := blob.read(min(_CHUNK, left))):
                self.wfile.write(data)
                left -= len(data)
        if left:
            # The length was promised: only breaking off tells that it is not kept.
            self.close_connection = True

    def _range(self, size: int) -> tuple[int, int]:
        """The first and last byte asked for (RFC 9110, section 14); all for what is no single range."""
        found = re.fullmatch(r"bytes=(\d{1,18})-(\d{0,18})", self.headers.get("Range", ""))
        if found is None:
            return 0, size - 1
        first = int(found[1])
        last = min(int(found[2]), size - 1) if found[2] else size - 1
        if first >= size or last < first:
            raise Refused(416, "SIZE_INVALID", f"the blob has {size} bytes")
        return first, last

    def _delete_blob(self, path: str, digest: str, query: Mapping[str, str]) -> None:
        self.served.shelf.delete_blob(digest)
        self._answer(202, b"", {})

    # ------------------------------------------------------------ uploads

    def _post_upload(self, path: str, upload: str, query: Mapping[str, str]) -> None:
        if upload:
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", "an upload goes on with PATCH or PUT")
        if "mount" in query and "from" in query:
            try:
                found, _ = self.served.shelf.blob_size(query["mount"])
            except Refused:
                pass
            else:
                self._created(path, found)
                return
        session = self.served.sessions.begin(path)
        if "digest" in query:
            with self.served.sessions.use(path, session.name):
                self._receive(session)
                self.served.sessions.finish(session, query["digest"])
            self._created(path, query["digest"])
            return
        self._accepted(202, session)

    def _get_upload(self, path: str, upload: str, query: Mapping[str, str]) -> None:
        with self.served.sessions.use(path, upload) as session:
            self._accepted(204, session)

    def _patch_upload(self, path: str, upload: str, query: Mapping[str, str]) -> None:
        with self.served.sessions.use(path, upload) as session:
            if self._check_order(session):
                self._receive(session)
                self._accepted(202, session)

    def _put_upload(self, path: str, upload: str, query: Mapping[str, str]) -> None:
        if "digest" not in query:
            raise Refused(400, "DIGEST_INVALID", "the digest is missing")
        with self.served.sessions.use(path, upload) as session:
            if not self._check_order(session):
                return
            self._receive(session)
            self.served.sessions.finish(session, query["digest"])
        self._created(path, query["digest"])

    def _delete_upload(self, path: str, upload: str, query: Mapping[str, str]) -> None:
        with self.served.sessions.use(path, upload) as session:
            self.served.sessions.cancel(session)
        self._answer(204, b"", {})

    def _check_order(self, session: Session) -> bool:
        """Whether a part follows what has arrived; where it does not, the answer (416) is given."""
        said = self.headers.get("Content-Range", "")
        if not said:
            return True
        found = re.fullmatch(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?", said)
        if found is not None and int(found[1]) == session.size:
            return True
        self._accepted(416, session)
        return False

    def _receive(self, session: Session) -> None:
        for data in self._body(None):
            session.writer.write(data)

    def _accepted(self, status: int, session: Session) -> None:
        headers = {
            "Location": f"/v2/{session.path}/blobs/uploads/{session.name}",
            "Docker-Upload-UUID": session.name,
            "Range": f"0-{max(0, session.size - 1)}",
        }
        self._answer(status, b"", headers)

    def _created(self, path: str, digest: str) -> None:
        headers = {"Location": f"/v2/{path}/blobs/{digest}", "Docker-Content-Digest": digest}
        self._answer(201, b"", headers)

    # ------------------------------------------------------------ bodies

    def _body(self, limit: int | None) -> Iterator[bytes]:
        """The body of the request, whichever way its end is told; Refused with 413 beyond `limit` bytes."""
        self._body_read = True
        seen = 0
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        for data in self._chunks() if chunked else self._counted():
            seen += len(data)
            if limit is not None and seen > limit:
                self._body_read = False
                raise Refused(413, "SIZE_INVALID", f"at most {limit} bytes are taken")
            yield data

    def _counted(self) -> Iterator[bytes]:
        said = self.headers.get("Content-Length", "0")
        if not said.isdecimal():
            raise Refused(400, "SIZE_INVALID", "the length is no number")
        yield from self._exactly(int(said[:18]))

    def _chunks(self) -> Iterator[bytes]:
        """RFC 9112, section 7.1."""
        while True:
            size = self.rfile.readline(1024).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
                raise ConnectionError("a chunk without a size")
            count = int(size, 16)
            if not count:
                break
            yield from self._exactly(count)
            self.rfile.readline(1024)
        while self.rfile.readline(8192).strip():
            pass

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            data = self.rfile.read1(min(_CHUNK, count))
            if not data:
                raise ConnectionError("the body broke off")
            count -= len(data)
            yield data

    # ------------------------------------------------------------ answers

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        unread = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        if unread and not self._body_read:
            # What was not read would be taken for the next request.
            self.close_connection = True
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _refuse(self, refused: Refused) -> None:
        error = {"code": refused.code, "message": refused.message, "detail": None}
        headers = {"Content-Type": "application/json"}
        if refused.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="buildtool"'
        self._answer(refused.status, json.dumps({"errors": [error]}).encode(), headers)

    def log_message(self, format: str, *args: Any) -> None:
        self.served.told(f"{self.requestline} {' '.join(str(word) for word in args[1:])}")
