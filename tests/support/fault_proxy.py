"""A proxy before a registry that breaks what goes through it, as a test says."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK = 1 << 16


@dataclass
class Fault:
    """What happens to a request; what is not named goes right.

    `answer` is given in the registry's place (status and headers); `headers` replace
    those of the registry's answer (None takes one away); `cut_answer` and `cut_request`
    are bytes after which the connection breaks; `slow` are seconds before the answer.
    """

    answer: tuple[int, dict[str, str]] | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    cut_answer: int | None = None
    cut_request: int | None = None
    slow: float = 0.0


#: Decides on a request by method, path and how many came before: a fault, or None for none.
Rule = Callable[[str, str, int], Fault | None]


@dataclass
class Proxy:
    """A proxy that is running; `sent` counts the bytes of bodies that reached the registry."""

    address: str = ""
    upstream: str = ""
    rule: Rule = lambda method, path, number: None
    sent: int = 0
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def fault_proxy(upstream: str, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """A proxy before the registry at `upstream`."""
    proxy = Proxy(upstream=upstream)
    server = ThreadingHTTPServer((host, 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.address = f"{host}:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    proxy: Proxy

    def _serve(self) -> None:
        proxy = self.proxy
        with proxy.guard:
            number = len(proxy.requests)
            proxy.requests.append((self.command, self.path, dict(self.headers.items())))
        fault = proxy.rule(self.command, self.path, number) or Fault()
        if fault.slow:
            threading.Event().wait(fault.slow)
        if fault.answer is not None:
            self._drain()
            status, headers = fault.answer
            self._send(status, {**headers, "Content-Length": "0"}, b"")
            return
        upstream = http.client.HTTPConnection(proxy.upstream, timeout=60)
        try:
            if not self._forward(upstream, fault):
                self._break_off()
                return
            response = upstream.getresponse()
            self._answer(response, fault)
        except (OSError, http.client.HTTPException):
            self._break_off()
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

    def _forward(self, upstream: http.client.HTTPConnection, fault: Fault) -> bool:
        """Send the request on; False where it was cut."""
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        left = int(self.headers.get("Content-Length", "0"))
        allowed = left if fault.cut_request is None else min(left, fault.cut_request)
        while allowed:
            data = self.rfile.read1(min(_CHUNK, allowed))
            if not data:
                return False
            upstream.send(data)
            with self.proxy.guard:
                self.proxy.sent += len(data)
            allowed -= len(data)
            left -= len(data)
        return left == 0

    def _answer(self, response: http.client.HTTPResponse, fault: Fault) -> None:
        kept = {
            n: v for n, v in response.getheaders() if n.lower() not in ("connection", "transfer-encoding")
        }
        for name, value in fault.headers.items():
            kept = {n: v for n, v in kept.items() if n.lower() != name.lower()}
            if value is not None:
                kept[name] = value
        if "Content-Length" not in kept and response.status != 204:
            body = response.read()
            self._send(response.status, {**kept, "Content-Length": str(len(body))}, body)
            return
        self._send(response.status, kept, b"")
        left = -1 if fault.cut_answer is None else fault.cut_answer
        while left and (data := response.read(_CHUNK if left < 0 else min(_CHUNK, left))):
            self.wfile.write(data)
            left -= len(data) if left > 0 else 0
        if fault.cut_answer is not None:
            self._break_off()

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _drain(self) -> None:
        left = int(self.headers.get("Content-Length", "0"))
        while left and (data := self.rfile.read1(min(_CHUNK, left))):
            left -= len(data)

    def _break_off(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(2)

    def log_message(self, format: str, *args: object) -> None:
        pass
