"""The internet of one step: what listens in its network namespace, and what it was asked."""

import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from buildtool.lock.exchanges import Exchange
from buildtool.network import nameserver, packets
from buildtool.network.answers import Answers
from buildtool.network.authority import Certificates, HostContext, authority
from buildtool.network.desk import Desk
from buildtool.network.names import Names
from buildtool.network.outward import Outward
from buildtool.network.recording import Broken
from buildtool.network.refusals import explanation, problem
from buildtool.network.settings import Refused, Settings
from buildtool.proxy import Proxies
from buildtool.store import Store

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

_BACKLOG = 256
#: Connections that are served at once, each by a thread: with what they receive and read they fit
#: into the 1,024 open files that a process commonly may have.
_MOST_CLIENTS = 256
_HANDSHAKE = 60.0


class Namespace(Protocol):
    """A network namespace in which every address is local (`netns.Isolated(everywhere=True)`)."""

    def inside(self, call: Callable[[], T]) -> T:
        """Carry out a call in a thread that is in the namespace; sockets made there stay there."""


class Internet:
    """Names (port 53), HTTP (80) and HTTPS (443) for the processes in a namespace, while it is entered.

    The executor's use of it:

        with Isolated(everywhere=True) as namespace:
            with Internet(namespace, settings, store) as internet:
                ended = sandbox.run(process, root, output, cancel, stop=internet.failed)
            internet.check()                    # raises BuildError
            exchanges = internet.exchanges      # complete only after the `with`

    `most` connections are served at once; the next ones wait until one of them is closed.
    """

    def __init__(
        self, namespace: Namespace, settings: Settings, store: Store, *, most: int = _MOST_CLIENTS
    ) -> None:
        self._namespace = namespace
        self._settings = settings
        self._answers = Answers(settings.known, strict=settings.strict)
        outward = Outward(Proxies(dict(settings.proxies), settings.exempt))
        self._desk = Desk(settings, self._answers, outward, store.blobs)
        self._names = Names()
        self._certificates = Certificates(authority(settings.authority))
        self._selector = selectors.DefaultSelector()
        self._servers: list[tuple[socket.socket, Callable[[], None]]] = []
        self._is_open = False
        self._ended = threading.Event()
        self._most = most
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> "Internet":
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: self._woken.recv(4096))
        try:
            self._namespace.inside(self._listen)
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Stop answering; what is on its way into the store is waited for, unless there was an error."""
        with self._lock:
            self._ended.set()
        self._wake.send(b"x")
        self._thread.join()
        self._close()
        with self._lock:
            clients = tuple(self._clients)
        for client in clients:
            _shut(client)
        self._desk.settle(stop=kind is not None)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything that was asked and answered, each once, sorted: the step's recording."""
        return self._answers.given

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What was asked for in vain, each once, in the order of asking."""
        return tuple(refused for refused, _ in self._desk.refused)

    def failed(self) -> bool:
        """Whether the step cannot end well any more, because of a refusal."""
        return self._desk.failed()

    def check(self) -> None:
        """BuildError for a fatal refusal.

        `not-recorded`: strict, and the request is in no recording; `unrecorded-answer`: the
        outside gave no answer that can be recorded; `body-changed`: the outside has another
        body by now than was recorded; `body-missing`: offline, and the store has it not.
        """
        error = problem(self._desk.refused)
        if error is not None:
            raise error

    def explanation(self) -> str:
        """What is refused to every step (other ports, WebSockets), for one that failed; empty for nothing."""
        return explanation(self._desk.refused)

    # ------------------------------------------------------------ listening

    def _listen(self) -> None:
        """Make the sockets; runs inside the namespace."""
        for port, serve in (
            (53, lambda client: nameserver.serve_stream(client, self._names)),
            (80, partial(self._serve, "http")),
            (443, partial(self._serve, "https")),
        ):
            server = _server(port)
            self._servers.append((server, partial(self._accept, server, serve)))
        datagrams = nameserver.datagram_socket()
        answer = partial(nameserver.answer_datagram, datagrams, self._names)
        self._selector.register(datagrams, selectors.EVENT_READ, answer)
        seen = packets.packet_socket()
        self._selector.register(seen, selectors.EVENT_READ, partial(self._notice, seen))

    def _attend(self) -> None:
        while not self._ended.is_set():
            self._open()
            for key, _ in self._selector.select():
                key.data()

    def _open(self) -> None:
        """Look at the servers while there is room, and not otherwise: who comes then waits in the backlog."""
        is_open = self._has_room()
        if is_open == self._is_open:
            return
        self._is_open = is_open
        for server, accept in self._servers:
            if is_open:
                self._selector.register(server, selectors.EVENT_READ, accept)
            else:
                self._selector.unregister(server)

    def _has_room(self) -> bool:
        with self._lock:
            return len(self._clients) < self._most

    def _close(self) -> None:
        for server, _ in self._servers:
            server.close()
        for key in tuple(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._wake.close()

    def _accept(self, server: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        if not self._has_room():
            return
        try:
            client, _ = server.accept()
        except OSError:
            # The client has gone again.
            return
        if _is_loopback(client.getsockname()[0]):
            # Nobody listens on this machine: what a step asks of itself is not the internet.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._clients.add(client)
        try:
            threading.Thread(target=self._attended, args=(client, serve), daemon=True).start()
        except RuntimeError:
            # No more threads: this client is turned away, the others are served.
            self._leave(client)

    def _attended(self, client: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        try:
            serve(client)
        except OSError:
            # A client that goes away is its own business.
            return
        finally:
            self._leave(client)

    def _leave(self, client: socket.socket) -> None:
        """Close a client's connection, and let the next one in that waits."""
        client.close()
        with self._lock:
            was_full = len(self._clients) >= self._most
            self._clients.discard(client)
            if was_full and not self._ended.is_set():
                self._wake.send(b"x")

    def _serve(self, scheme: str, client: socket.socket) -> None:
        from buildtool.network.serving import Serving

        host = self._names.name(client.getsockname()[0].removeprefix("::ffff:"))
        if scheme == "https":
            secured = self._secured(client, host)
            if secured is None:
                return
            client, host = secured
        with client:
            name = f"[{host}]" if ":" in host else host
            Serving(client, scheme, name, self._settings.clock, self._desk).run()

    def _secured(self, client: socket.socket, host: str) -> tuple[ssl.SSLSocket, str] | None:
        """The connection after the handshake, with the name that the client asked for."""
        client.settimeout(_HANDSHAKE)
        try:
            tls = self._certificates.context(host).wrap_socket(client, server_side=True)
        except ssl.SSLError as e:
            if "ALERT" in (e.reason or ""):
                why = f"the client does not trust the certificate ({e.reason})"
                error = Broken(why, "refused-connection", _DISTRUST)
                self._desk.refuse(f"{host} port 443", error, fatal=False)
            return None
        context = tls.context
        return tls, context.host if isinstance(context, HostContext) else host

    def _notice(self, seen: socket.socket) -> None:
        what = packets.tried(seen, self._names)
        if what:
            why = "a recorded step reaches HTTP and HTTPS on their own ports alone"
            self._desk.refuse(what, Broken(why, "refused-connection"), fatal=False)


_DISTRUST = "tell the program to trust the authorities of the system, or see the manual on certificates"


def _server(port: int) -> socket.socket:
    """A server for a port of every address."""
    both = socket.has_dualstack_ipv6()
    return socket.create_server(
        ("::" if both else "0.0.0.0", port),
        family=socket.AF_INET6 if both else socket.AF_INET,
        dualstack_ipv6=both,
        backlog=_BACKLOG,
    )


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.removeprefix("::ffff:").startswith("127.")


def _shut(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It has been closed already.
        return
