"""A network namespace in which nothing but the loopback device exists.

Whether a process tried to reach further is counted by the kernel: a connection
or datagram for which there is no route (RFC 4293, ipIfStatsOutNoRoutes; here
`OutNoRoutes` and `Ip6OutNoRoutes` of /proc/net/snmp and snmp6).
"""

import fcntl
import os
import socket
import struct
import threading

from buildtool.diag import BuildError
from buildtool.sandbox import kernel

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


class Isolated:
    """A fresh network namespace, alive until it is closed.

    BuildError `no-namespaces` if it cannot be made.
    """

    def __init__(self) -> None:
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
