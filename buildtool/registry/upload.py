"""Uploads: a blob to a registry, in one request or in parts, going on where a try broke off.

    begin (POST) -> [small]  PUT with all bytes                              -> done
                    [large]  PATCH with all bytes -> PUT with the digest     -> done
                    [parts]  PATCH ... PATCH      -> PUT with the digest     -> done
    broken off   -> GET of the upload -> Range of what has arrived -> PATCH with the rest
                                      -> unknown there             -> begin anew

Parts are used where a registry finds one request too large (413), or settings say so.
Only tries that brought nothing further count against the number of tries.
"""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast
from urllib.parse import quote

from buildtool.oci.model import Descriptor
from buildtool.registry.auth import Scope
from buildtool.registry.download import MOST_RESUMED
from buildtool.registry.fault import Fault
from buildtool.registry.place import Place
from buildtool.registry.wire import Reply, Wire, lowered, read_bounded

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of the largest blob that goes in the request that ends its upload.
_SMALL = 4 << 20
#: Bytes of a part where a registry takes no large requests.
_PART = 16 << 20
_SKIP = 1 << 20

Advance = Callable[[int, int | None], None]


class Target(Protocol):
    """The repository that is uploaded to."""

    wire: Wire
    place: Place
    writing: Scope

    def begin_upload(self) -> Reply:
        """Begin an upload."""

    def location(self, reply: Reply) -> str:
        """The address of an answer's Location."""


class Upload:
    """One blob on its way; `open_blob` gives its bytes from the beginning, as often as needed."""

    def __init__(
        self, target: Target, blob: Descriptor, open_blob: Callable[[], BinaryIO], advance: Advance
    ) -> None:
        self._target = target
        self._blob = blob
        self._open = open_blob
        self._advance = advance
        self._at = ""
        self._done = 0
        self._stale = False
        self._part = target.place.chunk

    def run(self, at: str = "") -> None:
        """Upload it all; `at` is an upload that was begun already.  Fault."""
        self._at = at
        tries, furthest = 0, 0
        for _ in range(MOST_RESUMED):
            try:
                self._go_on()
                return
            except Fault as fault:
                if fault.status == 413 and not self._part and self._blob.size > _PART:
                    self._part, self._at = _PART, ""
                    continue
                tries = 1 if self._done > furthest else tries + 1
                furthest = max(furthest, self._done)
                if not self._may_go_on(fault) or tries >= self._target.wire.tries:
                    raise
                self._stale = bool(self._at)
                self._target.wire.wait(fault, tries)
        raise Fault(f"{self._target.place.address} breaks off again and again")

    def _may_go_on(self, fault: Fault) -> bool:
        # What registries answer to an upload whose state is not as they have it.
        return fault.again or fault.status in (404, 416) or (fault.status == 400 and bool(self._at))

    def _go_on(self) -> None:
        if self._stale:
            self._look()
        if not self._at:
            reply = self._target.begin_upload()
            self._at, self._done = self._target.location(reply), 0
            least = reply.headers.get("oci-chunk-min-length", "")
            if self._part and least.isdigit():
                self._part = max(self._part, int(least[:12]))
        size = self._blob.size
        if self._done == 0 and size <= (self._part or _SMALL):
            self._finish(size)
            return
        while self._done < size:
            count = min(self._part or size, size - self._done)
            parts = bool(self._part) or self._done > 0
            self._patch(count, ranged=parts)
        self._finish(0)

    def _patch(self, count: int, *, ranged: bool) -> None:
        """Send `count` bytes behind those that have arrived."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(count)}
        if ranged:
            headers["Content-Range"] = f"{self._done}-{self._done + count - 1}"
        reply = self._send("PATCH", self._at, headers, count, (201, 202, 204))
        self._at = self._target.location(reply)
        self._done += count

    def _finish(self, count: int) -> None:
        """End the upload with the last `count` bytes and the digest."""
        joint = "&" if "?" in self._at else "?"
        url = f"{self._at}{joint}digest={quote(self._blob.digest, safe='')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(count)}
        reply = self._send("PUT", url, headers, count, (201, 204))
        said = reply.headers.get("docker-content-digest", "")
        if said.startswith("sha256:") and said != self._blob.digest:
            raise Fault(f"{self._target.place.address} says {said[:80]} where {self._blob.digest} was sent")

    def _send(
        self, method: str, url: str, headers: dict[str, str], count: int, expect: tuple[int, ...]
    ) -> Reply:
        target = self._target
        with self._open() as blob:
            _skip(blob, self._done)
            sent = _Part(blob, count, lambda n: self._advance(self._done + n, self._blob.size))
            body = cast(BinaryIO, sent) if count else b""
            wire = target.wire
            with wire.open(target.place, method, url, target.writing, headers=headers, body=body) as response:
                if response.status not in expect:
                    raise wire.refused(target.place, response)
                return Reply(response.status, lowered(response), read_bounded(response, 1 << 20), url)

    def _look(self) -> None:
        """Ask how much has arrived; an upload that is not known any longer is begun anew."""
        target = self._target
        try:
            reply = target.wire.ask(target.place, "GET", self._at, target.writing, expect=(200, 202, 204))
            self._done = _arrived(reply.headers.get("range", ""), self._blob.size)
            self._at = target.location(reply) if reply.headers.get("location") else self._at
        except Fault as fault:
            if fault.again:
                raise
            self._at, self._done = "", 0
        self._stale = False


class _Part(io.RawIOBase):
    """The next bytes of a file, as a file of its own that tells how far it was read."""

    def __init__(self, file: BinaryIO, count: int, told: Callable[[int], None]) -> None:
        self._file = file
        self._left = count
        self._read = 0
        self._told = told

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        if not self._left:
            # A file that is verified at its end has to be read to there.
            self._file.read(1)
            return 0
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        self._read += len(data)
        self._told(self._read)
        return len(data)


def _skip(file: BinaryIO, count: int) -> None:
    if file.seekable():
        file.seek(count)
        return
    while count:
        data = file.read(min(_SKIP, count))
        if not data:
            raise Fault("a blob is shorter than its descriptor says")
        count -= len(data)


def _arrived(said: str, size: int) -> int:
    """How many bytes a `Range: 0-LAST` means; `0-0` is what an upload without any says too."""
    first, dash, last = said.removeprefix("bytes=").partition("-")
    if first != "0" or not dash or not last.isdigit():
        return 0
    return min(int(last[:18]) + 1, size) if int(last[:18]) > 0 else 0
