"""Downloads: a blob from a registry, going on where a try broke off.

Whoever takes the bytes holds the digest against them; here it is seen to that there
are as many as the descriptor says, and that they follow each other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from buildtool.oci.model import Descriptor
from buildtool.registry.auth import Scope
from buildtool.registry.fault import Fault
from buildtool.registry.place import Place
from buildtool.registry.wire import Wire

if TYPE_CHECKING:
    import urllib3

_CHUNK = 1 << 18
#: How often a transfer is taken up again, however far it came in between.
MOST_RESUMED = 100

Advance = Callable[[int, int | None], None]


class Download:
    """One blob on its way to `write`."""

    def __init__(
        self,
        wire: Wire,
        place: Place,
        scope: Scope,
        blob: Descriptor,
        write: Callable[[bytes], object],
        advance: Advance,
    ) -> None:
        self._wire = wire
        self._place = place
        self._scope = scope
        self._blob = blob
        self._write = write
        self._advance = advance
        self._done = 0

    def run(self) -> None:
        """Download it all; only tries that brought nothing count against the number of tries.  Fault."""
        tries = 0
        for _ in range(MOST_RESUMED):
            before = self._done
            try:
                self._go_on()
                return
            except Fault as fault:
                tries = 1 if self._done > before else tries + 1
                if not fault.again or tries >= self._wire.tries:
                    raise
                self._wire.wait(fault, tries)
        raise Fault(f"{self._place.address} breaks off again and again")

    def _go_on(self) -> None:
        blob, host = self._blob, self._place.address
        headers = {"Range": f"bytes={self._done}-{blob.size - 1}"} if self._done else {}
        target = f"/v2/{self._place.path}/blobs/{blob.digest}"
        with self._wire.open(self._place, "GET", target, self._scope, headers=headers) as response:
            if response.status not in (200, 206):
                raise self._wire.refused(self._place, response)
            said = response.headers.get("Docker-Content-Digest", "")
            if said.startswith("sha256:") and said != blob.digest:
                raise Fault(f"{host} says {said[:80]} where {blob.digest} was asked for")
            self._receive(response)
        if self._done < blob.size:
            raise Fault(f"{host} sends {self._done} of {blob.size} bytes of {blob.digest}", again=True)

    def _receive(self, response: "urllib3.BaseHTTPResponse") -> None:
        blob, host = self._blob, self._place.address
        skip = self._done if response.status == 200 else 0
        said = response.headers.get("Content-Range", "")
        if response.status == 206 and not said.startswith(f"bytes {self._done}-"):
            raise Fault(f"{host} answers with another range than asked for")
        for chunk in response.stream(_CHUNK, decode_content=False):
            part = chunk[skip:] if skip else chunk
            skip = max(0, skip - len(chunk))
            if self._done + len(part) > blob.size:
                raise Fault(f"{host} sends more than the {blob.size} bytes of {blob.digest}")
            if part:
                self._write(part)
                self._done += len(part)
                self._advance(self._done, blob.size)
