"""The namespace in which every address is ours."""

import socket

import pytest

from buildtool.sandbox.netns import Isolated

pytestmark = pytest.mark.root


@pytest.mark.parametrize("address", ["203.0.113.9", "8.8.8.8", "2001:db8::9"])
def test_every_address_is_local(address: str) -> None:
    def speak() -> tuple[bytes, str]:
        with socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            client = socket.create_connection((address, 80), timeout=5)
            peer, _ = server.accept()
            with client, peer:
                client.sendall(b"hello")
                return peer.recv(5), peer.getsockname()[0].removeprefix("::ffff:")

    with Isolated(everywhere=True) as namespace:
        assert namespace.inside(speak) == (b"hello", address)
        assert not namespace.reached_out()


def test_errors_come_out_of_the_namespace() -> None:
    with Isolated(everywhere=True) as namespace, pytest.raises(ConnectionRefusedError):
        namespace.inside(lambda: socket.create_connection(("203.0.113.9", 81), timeout=5))
