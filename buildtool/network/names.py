"""Names: every one has an address of its own, and answers to questions about it (RFC 1035).

Addresses lie in 198.18.0.0/15, which RFC 2544 keeps for tests between networks; the
one of a name follows from the name, and from the others only where two meet.  The first
256 are no name's: the step itself has one of them.
"""

import ipaddress
import struct
import threading
from hashlib import sha256

_FIRST = int(ipaddress.IPv4Address("198.18.0.0"))
_COUNT = 1 << 17
#: The step's own addresses, no name's.
OWN = ipaddress.IPv4Network("198.18.0.0/24")
_TTL = 60
_TYPE_A, _TYPE_ANY, _CLASS_IN = 1, 255, 1
_LONGEST_NAME = 253


class Names:
    """The names that were asked for; safe for several threads."""

    def __init__(self) -> None:
        self._addresses: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()

    def address(self, name: str) -> str:
        """The address of a name, the same however the name is capitalised."""
        name = name.lower().rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            return "127.0.0.1"
        with self._lock:
            found = self._addresses.get(name)
            if found is None:
                found = int.from_bytes(sha256(name.encode("utf-8", "replace")).digest()[:8]) % _COUNT
                while found in self._names or found < OWN.num_addresses:
                    found = (found + 1) % _COUNT
                self._addresses[name] = found
                self._names[found] = name
        return str(ipaddress.IPv4Address(_FIRST + found))

    def name(self, address: str) -> str:
        """The name that has an address; the address itself where no name was asked for."""
        try:
            number = int(ipaddress.IPv4Address(address)) - _FIRST
        except ValueError:
            return address
        return self._names.get(number, address)

    def answer(self, query: bytes) -> bytes:
        """The reply to a DNS message; empty for what is none.

        A name has one A record and nothing else; reverse names do not exist.
        """
        try:
            number, flags, questions = struct.unpack_from("!HHH", query)
            name, end = _name(query, 12)
            kind, of_class = struct.unpack_from("!HH", query, end)
        except (struct.error, IndexError, ValueError):
            return b""
        if flags & 0x8000 or questions != 1:
            return b""
        question = query[12 : end + 4]
        recursion = flags & 0x0100
        if flags & 0x7800:
            return struct.pack("!6H", number, 0x8084 | recursion, 1, 0, 0, 0) + question
        if name.lower().rstrip(".").endswith(".arpa") or not name:
            code = 3 if name else 0
            return struct.pack("!6H", number, 0x8080 | recursion | code, 1, 0, 0, 0) + question
        records = b""
        if kind in (_TYPE_A, _TYPE_ANY) and of_class == _CLASS_IN:
            packed = ipaddress.IPv4Address(self.address(name)).packed
            records = struct.pack("!HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, _TTL, 4) + packed
        return (
            struct.pack("!6H", number, 0x8080 | recursion, 1, 1 if records else 0, 0, 0) + question + records
        )


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name of a question, and where it ends; ValueError for one that is too long or compressed."""
    labels = []
    total = 0
    while length := message[at]:
        label = message[at + 1 : at + 1 + length]
        total += length + 1
        if length > 63 or len(label) < length or total > _LONGEST_NAME + 2:
            raise ValueError("no name")
        labels.append(label.decode("ascii", "backslashreplace"))
        at += 1 + length
    return ".".join(labels), at + 1
