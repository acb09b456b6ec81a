"""Run as a process of its own: `memory_scenario.py FOLDER MEGABYTES` downloads and replays a large body.

Prints by how many megabytes the process grew meanwhile.
"""

import os
import resource
import sys
from pathlib import Path

import msgspec

from buildtool.network.settings import Settings
from buildtool.store import Store
from tests.support.upstream import Call, outside
from tests.unit.network.conftest import Step

PIECE = os.urandom(1 << 20)


def peak() -> int:
    """Megabytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def fetch(step: Step, size: int) -> None:
    with step.connection() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
        buffer = bytearray(1 << 18)
        received = 0
        while count := client.recv_into(buffer):
            received += count
    step.desk.settle(stop=False)
    assert size <= received <= size + 1000, received


def main(folder: Path, megabytes: int) -> None:
    def page(call: Call) -> None:
        call.send_response(200)
        call.send_header("Content-Length", str(megabytes << 20))
        call.end_headers()
        for _ in range(megabytes):
            call.wfile.write(PIECE)

    store = Store.open(str(folder / "store"))
    with outside(folder) as world:
        os.environ["SSL_CERT_FILE"] = str(folder / "trust.pem")
        world.pages["http://example.org/big"] = page
        step = Step(Settings(0, False, (), "", proxies=world.proxies), store)
        before = peak()
        fetch(step, megabytes << 20)
        strict = msgspec.structs.replace(step.settings, strict=True, offline=True, known=step.exchanges)
        fetch(Step(strict, store), megabytes << 20)
    print(peak() - before)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
