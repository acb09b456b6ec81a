"""An internet on the loopback device: one server that is a proxy, and every host behind it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

from buildtool.network.authority import Authority, Certificates, authority


class Call(BaseHTTPRequestHandler):
    """One connection; `url` is the address asked for, `body` the request's."""

    protocol_version = "HTTP/1.1"
    server: "_Server"
    url: str
    body: bytes
    base = ""

    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.server.outside.certificates.context(host)
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = _Unbuffered(self.connection)  # type: ignore[assignment]
        self.base = f"https://{host}"
        self.close_connection = False

    def _any(self) -> None:
        self.url = self.path if "://" in self.path else self.base + self.path
        self.body = self._read_body()
        outside = self.server.outside
        with outside.lock:
            outside.asked.append(
                (self.command, self.url, {k.lower(): v for k, v in self.headers.items()}, self.body)
            )
        handler = outside.pages.get(self.url.partition("?")[0])
        if handler is None:
            self.reply(404, b"no such page\n")
        elif isinstance(handler, bytes):
            self.reply(200, handler)
        else:
            handler(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _any

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Answer with a body of known length; `Last_Modified` names a header."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Unbuffered:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.closed = False

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


Page: TypeAlias = bytes | Callable[[Call], None]


@dataclass
class Outside:
    """What there is outside: pages by address without query, and what was asked of them."""

    port: int
    authority: Authority
    certificates: Certificates
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def proxies(self) -> tuple[tuple[str, str], ...]:
        url = f"http://127.0.0.1:{self.port}"
        return (("http", url), ("https", url))

    def count(self, url: str) -> int:
        return sum(asked == url for _, asked, _, _ in self.asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    outside: Outside

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    """The server; `folder` gets `trust.pem`, which clients are to trust."""
    own = authority(str(folder / "outside"))
    (folder / "trust.pem").write_bytes(own.pem)
    server = _Server(("127.0.0.1", 0), Call)
    server.outside = Outside(server.server_address[1], own, Certificates(own))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.outside
    finally:
        server.shutdown()
        server.server_close()


def chunked(*pieces: bytes, broken: bool = False, pause: float = 0.0) -> Callable[[Call], None]:
    """A page whose length is not told; a broken one ends without its end."""

    def answer(call: Call) -> None:
        call.send_response(200)
        call.send_header("Transfer-Encoding", "chunked")
        call.end_headers()
        for piece in pieces:
            call.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(pause)
        if broken:
            call.close_connection = True
            call.connection.shutdown(socket.SHUT_RDWR)
        else:
            call.wfile.write(b"0\r\n\r\n")

    return answer


def truncated(body: bytes, length: int) -> Callable[[Call], None]:
    """A page that breaks off after `body`, having told another length."""

    def answer(call: Call) -> None:
        call.send_response(200)
        call.send_header("Content-Length", str(length))
        call.end_headers()
        call.wfile.write(body)
        call.close_connection = True
        try:
            call.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    return answer


def redirect(target: str, status: int = 302) -> Callable[[Call], None]:
    """A page that is elsewhere."""
    return lambda call: call.reply(status, b"", Location=target)
