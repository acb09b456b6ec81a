"""A store served as a registry by a thread of the test."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from buildtool.registry.serve import Server
from buildtool.store import Store


@contextmanager
def served(
    store: Store, *, logins: Mapping[str, str] | None = None, read_only: bool = False
) -> Iterator[str]:
    """The address of a store that is served."""
    server = Server("127.0.0.1", 0, store, logins=logins, read_only=read_only)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        server.server_close()
