"""Serving: one connection of a step's HTTP client, request after request (RFC 9112)."""

import hashlib
import re
import socket
import tempfile
from email.utils import formatdate
from typing import IO, TypeAlias

import h11

from buildtool.digest import Digest
from buildtool.network.asking import Asking, normal
from buildtool.network.desk import Desk, Given
from buildtool.network.ranges import Unsatisfiable, part, still_holds
from buildtool.network.recording import Broken, Head

_READ = 1 << 18
_SEND = 1 << 20
#: Seconds of silence after which a client's connection is closed.
_SILENCE = 900.0
#: Bytes of a request's body that are kept in memory; more of it goes to a file.
_IN_MEMORY = 1 << 20
_LARGEST_HEAD = 1 << 17
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

Headers: TypeAlias = list[tuple[bytes, bytes]]


class _Refusal(Exception):
    """An answer of our own: a status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Gone(Exception):
    """The client has closed the connection, or speaks no HTTP."""


class Serving:
    """Serves a client over `sock`.

    `scheme` and `host` are those that the connection itself tells (`host` is what TLS or the
    address named), for requests that name none.  `clock` is the instant of all answers.
    """

    def __init__(self, sock: socket.socket, scheme: str, host: str, clock: int, desk: Desk) -> None:
        self._sock = sock
        self._scheme = scheme
        self._host = host
        self._date = formatdate(clock, usegmt=True).encode()
        self._desk = desk
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)

    def run(self) -> None:
        """Answer until the client is done; its going away is no error."""
        self._sock.settimeout(_SILENCE)
        try:
            while True:
                event = self._next()
                if not isinstance(event, h11.Request):
                    return
                self._exchange(event)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except (_Gone, OSError, h11.LocalProtocolError):
            return
        except h11.RemoteProtocolError as e:
            self._complain(e)

    # ------------------------------------------------------------ reading

    def _next(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(self._sock.recv(_READ))

    def _body(self) -> tuple[IO[bytes] | None, Digest | None]:
        """The body of the request and its digest; nothing for an empty one."""
        found = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        digest = hashlib.sha256()
        try:
            while isinstance(event := self._next(), h11.Data):
                digest.update(event.data)
                found.write(event.data)
            if not isinstance(event, h11.EndOfMessage):
                raise _Gone
        except BaseException:
            found.close()
            raise
        if found.tell() == 0:
            found.close()
            return None, None
        return found, Digest("sha256:" + digest.hexdigest())

    def _url(self, request: h11.Request) -> str:
        """The address that the request is for."""
        target = request.target.decode("ascii")
        if target.startswith(("http://", "https://")):
            return normal(target)
        if not target.startswith("/"):
            raise _Refusal(501, f"{request.method.decode()} {target} is for a proxy")
        hosts = [value.decode("ascii", "replace") for name, value in request.headers if name == b"host"]
        host = hosts[0] if hosts else self._host
        if not _HOST.fullmatch(host):
            raise _Refusal(400, "the Host header names no host")
        return normal(f"{self._scheme}://{host}{target}")

    # ------------------------------------------------------------ answering

    def _exchange(self, request: h11.Request) -> None:
        if request.method == b"PRI":
            raise h11.RemoteProtocolError("it speaks HTTP/2 without asking", 505)
        url = f"{self._scheme}://{self._host}/"
        try:
            url = self._url(request)
            _refuse_upgrade(request)
            body, digest = self._body()
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers
            )
            asking = Asking(request.method.decode("ascii"), url, self._desk.place(url), digest, headers)
            given = self._desk.answer(asking, body)
        except _Refusal as refusal:
            what = f"{request.method.decode()} {self._desk.place(url)}"
            self._desk.refuse(what, Broken(str(refusal), "refused-connection"), fatal=False)
            self._refuse(refusal.status, str(refusal))
            return
        except Broken as e:
            # 403: what clients retry costs minutes, and this will not get better.
            self._refuse(403, f"{asking}: {e}")
            return
        try:
            self._give(asking, given)
        finally:
            given.close()

    def _give(self, asking: Asking, given: Given) -> None:
        try:
            head = given.head()
        except Broken as e:
            self._refuse(502, f"{asking}: {e}")
            return
        size = None if ("transfer-encoding", "chunked") in head.headers else head.size
        status, extra, first, last = _cut(asking, head, size)
        self._send(h11.Response(status_code=status, headers=[*self._headers(head), *extra]))
        if asking.method == "HEAD" or status == 416:
            self._send(h11.EndOfMessage())
            return
        try:
            self._give_body(given, first, last)
        except Broken:
            raise _Gone from None
        self._send(h11.EndOfMessage())

    def _give_body(self, given: Given, first: int, last: int | None) -> None:
        while last is None or first < last:
            chunk = given.read(first, _SEND if last is None else min(_SEND, last - first))
            if not chunk:
                return
            first += len(chunk)
            self._send(h11.Data(data=chunk))

    def _headers(self, head: Head) -> Headers:
        found = [(b"Date", self._date)]
        for name, value in head.headers:
            found.append((name.title().encode(), value.encode("latin-1", "replace")))
        return found

    def _refuse(self, status: int, why: str) -> None:
        """Answer in our own name, and close the connection."""
        text = f"buildtool: {why}\n".encode()
        headers = [
            (b"Date", self._date),
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(text)),
            (b"Connection", b"close"),
        ]
        self._send(h11.Response(status_code=status, headers=headers))
        self._send(h11.Data(data=text))
        self._send(h11.EndOfMessage())

    def _complain(self, error: h11.RemoteProtocolError) -> None:
        """Tell of a client that speaks something else."""
        what = f"{self._host} port {443 if self._scheme == 'https' else 80}"
        self._desk.refuse(what, Broken(f"no HTTP/1.1: {error}", "refused-connection"), fatal=False)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            try:
                self._refuse(error.error_status_hint, str(error))
            except (OSError, h11.LocalProtocolError):
                return

    def _send(self, event: h11.Event) -> None:
        for data in self._http.send_with_data_passthrough(event) or ():
            self._sock.sendall(data)


def _refuse_upgrade(request: h11.Request) -> None:
    for name, value in request.headers:
        if name == b"upgrade" and b"websocket" in value.lower():
            raise _Refusal(501, "WebSockets cannot be recorded")


def _cut(asking: Asking, head: Head, size: int | None) -> tuple[int, Headers, int, int | None]:
    """Status, framing, first byte and end of what a client gets; the end is None where it is unknown."""
    if size is None:
        return head.status, [], 0, None
    framing = [(b"Content-Length", b"%d" % size)]
    if head.status in (204, 304):
        return head.status, [], 0, 0
    if head.status != 200 or asking.method not in ("GET", "HEAD"):
        return head.status, framing, 0, size
    framing.append((b"Accept-Ranges", b"bytes"))
    found = None
    asked = asking.header("range")
    modified = dict(head.headers).get("last-modified", "")
    if asking.method == "GET" and asked and still_holds(asking.header("if-range"), modified):
        try:
            found = part(asked, size)
        except Unsatisfiable:
            return 416, [(b"Content-Range", b"bytes */%d" % size), (b"Content-Length", b"0")], 0, 0
    if found is None:
        return 200, framing, 0, size
    first, last = found
    framing[0] = (b"Content-Length", b"%d" % (last - first))
    return 206, [*framing, (b"Content-Range", b"bytes %d-%d/%d" % (first, last - 1, size))], first, last
