"""Pools of connections: one for each proxy and each set of certificates."""

import os
import socket
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from buildtool.proxy import Proxies, pool
from buildtool.registry.place import host_only
from buildtool.registry.trust import certificate_folders, context_for

if TYPE_CHECKING:
    import urllib3

#: Seconds to a connection, and seconds without a byte.
_CONNECT, _SILENCE = 20.0, 120.0
#: Bytes of a file that are sent at once.
_BLOCK = 1 << 18
_CONNECTIONS = 16


class Pools:
    """Connections are kept open between requests; may be used from many threads."""

    def __init__(
        self,
        proxies: Proxies,
        environ: Mapping[str, str] = os.environ,
        *,
        silence: float = _SILENCE,
    ) -> None:
        self._proxies = proxies
        self._environ = environ
        self._silence = silence
        self._pools: dict[tuple[str, str, bool], urllib3.PoolManager] = {}
        self._guard = threading.Lock()

    def of(self, url: str, *, insecure: bool) -> "urllib3.PoolManager":
        """The pool that serves an address; `insecure` leaves certificates unverified."""
        host = urlsplit(url).netloc
        own = host if certificate_folders(host, self._environ) else ""
        key = (self._proxies.of(url, {}), own, insecure)
        with self._guard:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._make(*key)
            return pool

    def speaks_tls(self, address: str) -> bool:
        """Whether a host that may be insecure answers a TLS greeting."""
        url = f"https://{address}"
        if self._proxies.of(url, {}):
            return True
        context = context_for(address, self._environ, verify=False)
        host, port = host_only(address), urlsplit(url).port or 443
        try:
            plain = socket.create_connection((host, port), timeout=_CONNECT)
            with plain, context.wrap_socket(plain, server_hostname=host):
                return True
        except OSError:
            return False

    def _make(self, proxy: str, host: str, insecure: bool) -> "urllib3.PoolManager":
        import urllib3

        context = context_for(host, self._environ, verify=not insecure)
        timeout = urllib3.Timeout(connect=_CONNECT, read=self._silence)
        if insecure:
            # The user's settings say so: nothing to be warned of at every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return pool(proxy, maxsize=_CONNECTIONS, timeout=timeout, ssl_context=context, blocksize=_BLOCK)
