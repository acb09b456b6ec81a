"""Steps against an internet on the loopback device."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from buildtool.lock.exchanges import Exchange
from buildtool.network.answers import Answers
from buildtool.network.authority import authority
from buildtool.network.desk import Desk
from buildtool.network.outward import Outward
from buildtool.network.serving import Serving
from buildtool.network.settings import Settings
from buildtool.proxy import Proxies
from buildtool.store import Store
from tests.support.upstream import Outside, outside

CLOCK = 1_700_000_000


class Step:
    """A step's desk, and connections of its clients to it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.answers = Answers(settings.known, strict=settings.strict)
        out = Outward(Proxies(dict(settings.proxies), settings.exempt), silence=5)
        self.desk = Desk(settings, self.answers, out, store.blobs)

    @contextmanager
    def connection(self, host: str = "example.org", scheme: str = "http") -> Iterator[socket.socket]:
        """A client's end of a connection."""
        ours, theirs = socket.socketpair()
        serving = Serving(theirs, scheme, host, self.settings.clock, self.desk)

        def serve() -> None:
            with theirs:
                serving.run()

        thread = threading.Thread(target=serve)
        thread.start()
        with ours:
            ours.settimeout(60)
            yield ours
        thread.join(60)
        assert not thread.is_alive()

    def talk(self, request: bytes, **more: Any) -> bytes:
        """Everything that is answered to `request` until the connection closes."""
        with self.connection(**more) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            found = b""
            while data := client.recv(65536):
                found += data
        self.desk.settle(stop=False)
        return found

    def get(
        self, path: str = "/", host: str = "example.org", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a GET."""
        rows = [f"GET {path} HTTP/1.1", f"Host: {host}"]
        rows += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return parsed(self.talk("\r\n".join([*rows, "", ""]).encode()))

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return self.answers.given


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, and body as it came over the wire."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rows = head.decode("latin-1").split("\r\n")
    pairs = (row.partition(": ") for row in rows)
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body


def dechunked(body: bytes) -> bytes:
    """The body that came in chunks; ValueError without its end."""
    found = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            return found
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities: making keys takes the time of several tests."""
    folder = tmp_path_factory.mktemp("authorities")
    for name in "authority", "outside":
        authority(str(folder / name))
    return folder


@pytest.fixture
def authorities(_made: Path, tmp_path: Path) -> None:
    """The authorities of a user, and of the world outside."""
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def world(tmp_path: Path, authorities: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """What there is outside; trusted by this process."""
    with outside(tmp_path) as found:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trust.pem"))
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.open(str(tmp_path / "store"))
    yield found
    found.close()


@pytest.fixture
def recording(world: Outside, store: Store, tmp_path: Path) -> Step:
    """A step that is recorded."""
    settings = Settings(CLOCK, False, (), str(tmp_path / "authority"), proxies=world.proxies)
    return Step(settings, store)


@pytest.fixture
def replaying(recording: Step, store: Store) -> Callable[..., Step]:
    """The step that replays strictly what has been recorded by now."""

    def make(**changes: Any) -> Step:
        fixed = {"strict": True, "known": recording.exchanges, **changes}
        return Step(msgspec.structs.replace(recording.settings, **fixed), store)

    return make
