"""SSH agent forwarding: what is passed on, what is not, and how the socket looks."""

import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildtool.sandbox.agent import forwarded

FAILURE = b"\x05"


class Agent:
    """Answers every request with its own bytes, reversed, and notes it."""

    def __init__(self, path: Path) -> None:
        self.asked: list[bytes] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                while head := client.recv(4):
                    request = client.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL)
                    self.asked.append(request)
                    client.sendall(head + request[::-1])


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    found = Agent(tmp_path / "agent")
    yield found
    found.listener.shutdown(socket.SHUT_RDWR)
    found.listener.close()


def ask(client: socket.socket, request: bytes) -> bytes:
    client.sendall(struct.pack(">I", len(request)) + request)
    head = client.recv(4)
    return client.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL) if head else b""


def test_asking_for_keys_and_signing_reach_the_agent_and_nothing_else(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "step")
    with forwarded(path, str(tmp_path / "agent"), 0o640, (os.getuid(), os.getgid())):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            assert ask(client, b"\x0b") == b"\x0b"
            assert ask(client, b"\x0dsign this") == b"siht ngis\x0d"
            for refused in (17, 18, 19, 22, 25, 27):
                assert ask(client, bytes([refused]) + b"x") == FAILURE
    assert agent.asked == [b"\x0b", b"\x0dsign this"]
    assert not os.path.exists(path)


def test_a_message_out_of_bounds_ends_the_connection(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "step")
    with forwarded(path, str(tmp_path / "agent"), 0o600, (os.getuid(), os.getgid())):
        for length in (0, 1 << 30):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(struct.pack(">I", length))
                assert client.recv(1) == b""
    assert agent.asked == []


def test_paths_longer_than_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.chdir(deep)
    agent = Agent(Path("agent"))
    owner = (os.getuid(), os.getgid())
    with (
        forwarded(str(deep / "step"), str(deep / "agent"), 0o600, owner),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect("step")
        assert ask(client, b"\x0babc") == b"cba\x0b"
    agent.listener.close()


def test_an_agent_that_has_gone_ends_the_connection(tmp_path: Path) -> None:
    path = str(tmp_path / "step")
    owner = (os.getuid(), os.getgid())
    with (
        forwarded(path, str(tmp_path / "nothing"), 0o600, owner),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(path)
        assert client.recv(1) == b""
