"""A name server for every address of a namespace, over UDP and TCP."""

import socket
import struct

from buildtool.network.names import Names

_LARGEST = 4096
_SILENCE = 30.0
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50


def datagram_socket() -> socket.socket:
    """A socket for port 53 of every address, to be made inside the namespace."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    found = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    # The reply must come from the address that was asked, so we have to be told which it was.
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        found.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        found.bind(("::", 53))
    else:
        found.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        found.bind(("0.0.0.0", 53))
    return found


def answer_datagram(server: socket.socket, names: Names) -> None:
    """Answer one datagram that has arrived."""
    try:
        query, control, _, sender = server.recvmsg(_LARGEST, 256)
        reply = names.answer(query)
        if reply:
            source = [(a, b, _as_source(b, data)) for a, b, data in control if (a, b) in _SOURCES]
            server.sendmsg([reply], source, 0, sender)
    except OSError:
        # Who asked has gone: an error of the socket that belongs to the datagram before.
        return


_SOURCES = frozenset(((socket.IPPROTO_IP, _IP_PKTINFO), (socket.IPPROTO_IPV6, _IPV6_PKTINFO)))


def _as_source(kind: int, data: bytes) -> bytes:
    """What told where a datagram arrived, as what tells where the reply is to come from."""
    if kind == _IP_PKTINFO:
        # struct in_pktinfo: interface, local address, address of the header.
        return data[:4] + data[8:12] + data[8:12]
    return data


def serve_stream(client: socket.socket, names: Names) -> None:
    """Answer the questions of one TCP connection (RFC 1035, 4.2.2)."""
    client.settimeout(_SILENCE)
    with client, client.makefile("rb") as stream:
        while len(head := stream.read(2)) == 2:
            reply = names.answer(stream.read(struct.unpack("!H", head)[0]))
            if not reply:
                return
            client.sendall(struct.pack("!H", len(reply)) + reply)
