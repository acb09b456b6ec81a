"""Published ports: connections to sockets of this machine, carried into a network namespace.

One thread a socket accepts, two carry a connection; all are in the namespace, where they reach the
loopback device on which a process listens, whatever address it has bound.
"""

import socket
import threading
from collections.abc import Sequence

from buildtool.sandbox.netns import Isolated

_CHUNK = 1 << 16
#: Connections of one port that are open at once; further ones wait.
_MOST = 256


class Forwarder:
    """Carries connections from listening sockets to ports inside a namespace, until it is closed."""

    def __init__(self, namespace: Isolated, ports: Sequence[tuple[socket.socket, int]]) -> None:
        self._listeners = [listener for listener, _ in ports]
        for listener, port in ports:
            thread = threading.Thread(target=_accept, args=(listener, port), daemon=True)
            # A thread is born into the namespace of the one that starts it.
            namespace.inside(thread.start)

    def close(self) -> None:
        """Accept no more connections; those that are open end with the process."""
        for listener in self._listeners:
            # Closing alone would leave the thread waiting in accept(2).
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def __enter__(self) -> "Forwarder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _accept(listener: socket.socket, port: int) -> None:
    room = threading.Semaphore(_MOST)
    while True:
        room.acquire()
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, port, room), daemon=True).start()


def _serve(client: socket.socket, port: int, room: threading.Semaphore) -> None:
    """Carry one connection; where nobody listens inside, it ends at once."""
    try:
        with client, socket.create_connection(("127.0.0.1", port)) as inside:
            back = threading.Thread(target=_carry, args=(inside, client), daemon=True)
            back.start()
            _carry(client, inside)
            back.join()
    except ConnectionRefusedError:
        pass
    finally:
        room.release()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry one direction to its end, and pass the end on."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone: the other direction shall not wait for it.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
