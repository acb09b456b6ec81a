"""A network namespace in which nothing but the loopback device exists.

It is nowhere, every other address being without a route, or everywhere: each address
there is belongs to the loopback device, so whoever listens inside answers for all.
Whether a process tried to reach further is counted by the kernel: a connection
or datagram for which there is no route (RFC 4293, ipIfStatsOutNoRoutes; here
`OutNoRoutes` and `Ip6OutNoRoutes` of /proc/net/snmp and snmp6).
"""

import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

from buildtool.diag import BuildError
from buildtool.sandbox import kernel

T = TypeVar("T")

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
#: rtnetlink(7): add an address; add a route to the table of local addresses.
_RTM_NEWADDR, _IFA_ADDRESS, _IFA_LOCAL = 20, 1, 2
_RTM_NEWROUTE = 24
_REQUEST_CREATE_ACK = 0x1 | 0x400 | 0x4
_RT_TABLE_LOCAL, _RTPROT_STATIC, _RTN_LOCAL, _RTA_OIF = 255, 4, 2, 4
_LOOPBACK = 1

#: The address of a process that is everywhere: resolvers look for none where there is only 127.0.0.1.
OWN_ADDRESS = "198.18.0.1"
#: Where a name is looked up: an address of RFC 5737, which leads nowhere or, everywhere, to us.
_NO_SERVER = "nameserver 192.0.2.1\noptions timeout:1 attempts:1\n"
_OUR_SERVER = "nameserver 192.0.2.1\n"


class Isolated:
    """A fresh network namespace, alive until it is closed.

    BuildError `no-namespaces` if it cannot be made.
    """

    def __init__(self, *, everywhere: bool = False) -> None:
        self._everywhere = everywhere
        self._namespace = self._snmp = self._snmp6 = -1
        errors: list[OSError] = []
        # A thread has a network namespace of its own after unshare(2), and takes it along when it ends.
        thread = threading.Thread(target=self._make, args=(errors,))
        thread.start()
        thread.join()
        if errors:
            self.close()
            raise BuildError(
                "no-namespaces",
                f"cannot make a network namespace: {errors[0].strerror}",
                exit_status=1,
            )
        self._before = self._count()

    @property
    def path(self) -> str:
        """A path that names the namespace while this object is open, for processes that see our /proc."""
        return f"/proc/{os.getpid()}/fd/{self._namespace}"

    @property
    def resolver(self) -> str:
        """The /etc/resolv.conf of a process inside."""
        return _OUR_SERVER if self._everywhere else _NO_SERVER

    def inside(self, call: Callable[[], T]) -> T:
        """Carry out a call in a thread that is in the namespace; sockets that it makes stay there."""
        found: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                kernel.enter(self._namespace, kernel.CLONE_NEWNET)
                found.append(call())
            except BaseException as e:
                errors.append(e)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return found[0]

    def reached_out(self) -> bool:
        """Whether a process inside has tried to reach an address beyond the loopback device."""
        return self._count() > self._before

    def close(self) -> None:
        """Let the namespace go, once its last process has ended."""
        for name in ("_namespace", "_snmp", "_snmp6"):
            fd = getattr(self, name)
            if fd >= 0:
                setattr(self, name, -1)
                os.close(fd)

    def __enter__(self) -> "Isolated":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self, errors: list[OSError]) -> None:
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
                fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
            if self._everywhere:
                _add_own_address()
                _own_every_address(socket.AF_INET)
                if os.path.exists("/proc/thread-self/net/if_inet6"):
                    _own_every_address(socket.AF_INET6)
            flags = os.O_RDONLY | os.O_CLOEXEC
            self._namespace = os.open("/proc/thread-self/ns/net", flags)
            # The files keep counting for the namespace in which they were opened.
            self._snmp = os.open("/proc/thread-self/net/snmp", flags)
            if os.path.exists("/proc/thread-self/net/snmp6"):
                self._snmp6 = os.open("/proc/thread-self/net/snmp6", flags)
        except OSError as e:
            errors.append(e)

    def _count(self) -> int:
        names, values = [
            line.split() for line in os.pread(self._snmp, 65536, 0).split(b"\n") if line.startswith(b"Ip:")
        ]
        found = int(values[names.index(b"OutNoRoutes")])
        if self._snmp6 >= 0:
            for line in os.pread(self._snmp6, 65536, 0).split(b"\n"):
                if line.startswith(b"Ip6OutNoRoutes"):
                    found += int(line.split()[1])
        return found


def _own_every_address(family: socket.AddressFamily) -> None:
    """`ip route add local default dev lo`: every address of the family is this namespace's own."""
    scope = 254 if family == socket.AF_INET else 0
    route = struct.pack("8BI", family, 0, 0, 0, _RT_TABLE_LOCAL, _RTPROT_STATIC, scope, _RTN_LOCAL, 0)
    _tell(_RTM_NEWROUTE, route + struct.pack("HHI", 8, _RTA_OIF, _LOOPBACK))


def _add_own_address() -> None:
    """`ip address add 198.18.0.1 dev lo`."""
    packed = socket.inet_aton(OWN_ADDRESS)
    message = struct.pack("4BI", socket.AF_INET, 32, 0, 0, _LOOPBACK)
    for kind in (_IFA_LOCAL, _IFA_ADDRESS):
        message += struct.pack("HH4s", 8, kind, packed)
    _tell(_RTM_NEWADDR, message)


def _tell(kind: int, message: bytes) -> None:
    """Send a message to the kernel's routing; OSError if it refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as s:
        s.send(struct.pack("IHHII", 16 + len(message), kind, _REQUEST_CREATE_ACK, 1, 0) + message)
        (error,) = struct.unpack_from("i", s.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))
