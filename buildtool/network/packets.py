"""Packets to where nobody listens: which hosts and ports a step tried in vain.

A packet socket on the loopback device sees the first packet of each connection, and
datagrams; a filter in the kernel keeps all others from being copied.
"""

import ctypes
import ipaddress
import socket
import struct
from typing import NamedTuple

from buildtool.network.names import OWN, Names

_ETH_P_ALL = 0x0003
_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_TCP, _UDP = 6, 17
#: What we answer; QUIC on 443 is tried by clients that then use TCP.
_ANSWERED = frozenset(((_TCP, 53), (_TCP, 80), (_TCP, 443), (_UDP, 53), (_UDP, 443)))

#: Classic BPF (code, jump if true, jump if false, constant): SYN without ACK, and UDP, of IPv4 and IPv6.
_FILTER = (
    (0x30, 0, 0, 0),  # version
    (0x74, 0, 0, 4),
    (0x15, 0, 8, 4),  # IPv4, else to the second half
    (0x30, 0, 0, 9),  # protocol
    (0x15, 13, 0, _UDP),  # to accept
    (0x15, 0, 13, _TCP),  # else to drop
    (0x28, 0, 0, 6),  # fragments but the first have no ports
    (0x45, 11, 0, 0x1FFF),
    (0xB1, 0, 0, 0),  # X = length of the header
    (0x50, 0, 0, 13),  # flags of TCP
    (0x05, 0, 0, 5),  # to where the flags are looked at
    (0x15, 0, 7, 6),  # IPv6, else to drop
    (0x30, 0, 0, 6),  # next header
    (0x15, 4, 0, _UDP),  # to accept
    (0x15, 0, 4, _TCP),  # else to drop
    (0x30, 0, 0, 53),  # flags of TCP
    (0x54, 0, 0, 0x12),  # SYN and ACK
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 128),  # accept
    (0x06, 0, 0, 0),  # drop
)


def packet_socket() -> socket.socket:
    """A socket that sees first packets, to be made inside the namespace."""
    found = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
    program = b"".join(struct.pack("HBBI", *row) for row in _FILTER)
    held = ctypes.create_string_buffer(program)
    found.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_FILTER), ctypes.addressof(held))
    )
    found.bind(("lo", _ETH_P_ALL))
    return found


def tried(packets: socket.socket, names: Names) -> str:
    """`HOST port NUMBER` for a packet that has arrived and is for where we do not listen; else empty."""
    try:
        packet, address = packets.recvfrom(256)
    except OSError:
        # The device's own errors are not ours to tell.
        return ""
    target = destination(packet) if address[2] == _OUTGOING else None
    if target is None or not _is_outside(target.address):
        return ""
    if (target.protocol, target.port) in _ANSWERED or (target.protocol, target.source) == (_UDP, 53):
        return ""
    return f"{names.name(target.address)} {'UDP port' if target.protocol == _UDP else 'port'} {target.port}"


class Destination(NamedTuple):
    """Where an IP packet goes: protocol number, port that it comes from, address and port."""

    protocol: int
    source: int
    address: str
    port: int


def destination(packet: bytes) -> Destination | None:
    """Where the packet goes; None for what has no ports."""
    try:
        if packet[0] >> 4 == 4:
            protocol, start = packet[9], (packet[0] & 15) * 4
            address = str(ipaddress.IPv4Address(packet[16:20]))
        else:
            protocol, start = packet[6], 40
            address = str(ipaddress.IPv6Address(packet[24:40]))
        source, port = struct.unpack_from("!HH", packet, start)
    except (IndexError, struct.error, ValueError):
        return None
    return Destination(protocol, source, address, port) if protocol in (_TCP, _UDP) else None


def _is_outside(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return not (found.is_loopback or found.is_unspecified or found.is_multicast or found in OWN)
