"""SSH agent forwarding: a socket for a step that passes on what a step may ask of an agent.

The step's socket has a mode and an owner of its own, so that any user of an image
can use it.  Only two requests are passed on: which keys there are, and to sign with
one (draft-ietf-sshm-ssh-agent, "Protocol Messages"); adding, removing and locking
keys, and extensions, fail, as they do with BuildKit.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LENGTH = struct.Struct(">I")
#: What OpenSSH's agent takes at most.
_LONGEST = 256 << 10

REQUEST_IDENTITIES, SIGN_REQUEST = 11, 13
FAILURE = LENGTH.pack(1) + b"\x05"


@contextmanager
def forwarded(path: str, agent: str, mode: int, owner: tuple[int, int]) -> Iterator[None]:
    """Listen at `path`, which is not there yet, and pass requests on to the agent's socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as name:
            listener.bind(name)
        try:
            os.chown(path, *owner)
            os.chmod(path, mode)
            listener.listen()
            threading.Thread(target=_accept, args=(listener, agent), daemon=True).start()
            yield
        finally:
            # Closing alone would leave the thread waiting in accept(2).
            listener.shutdown(socket.SHUT_RDWR)
            os.unlink(path)
    finally:
        listener.close()


def _accept(listener: socket.socket, agent: str) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, agent), daemon=True).start()


def _serve(client: socket.socket, agent: str) -> None:
    """Pass the requests of one connection on; whatever goes wrong ends the connection."""
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
        try:
            with reachable(agent) as name:
                there.connect(name)
            while (request := message(client)) is not None:
                if request[:1] not in (bytes([REQUEST_IDENTITIES]), bytes([SIGN_REQUEST])):
                    client.sendall(FAILURE)
                    continue
                there.sendall(LENGTH.pack(len(request)) + request)
                answer = message(there)
                if answer is None:
                    return
                client.sendall(LENGTH.pack(len(answer)) + answer)
        except OSError:
            return


def message(source: socket.socket) -> bytes | None:
    """One message without its length; None at the end, or for one that is too long."""
    head = _exactly(source, LENGTH.size)
    if head is None:
        return None
    (length,) = LENGTH.unpack(head)
    return _exactly(source, length) if 0 < length <= _LONGEST else None


def _exactly(source: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        piece = source.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)


@contextmanager
def reachable(path: str) -> Iterator[str]:
    """A name of a socket that fits into an address, which holds 107 bytes."""
    folder, name = os.path.split(path)
    fd = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
