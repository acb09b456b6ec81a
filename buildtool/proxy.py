"""The way out of this machine: which proxy serves an address, connections through it, and why one failed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import urllib3


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxy URLs by scheme, and the hosts that are reached without one (as in `no_proxy`)."""

    by_scheme: Mapping[str, str]
    exempt: str = ""

    def of(self, url: str, fallback: Mapping[str, str]) -> str:
        """The proxy for `url`, or an empty string."""
        parts = urlsplit(url)
        if _exempt(parts.hostname or "", parts.port, self.exempt):
            return ""
        return self.by_scheme.get(parts.scheme) or fallback.get(parts.scheme, "")


def _exempt(host: str, port: int | None, exempt: str) -> bool:
    """Whether `no_proxy` names the host: `*`, a name or address, or a domain with all below it."""
    for item in exempt.lower().replace(",", " ").split():
        name = item.removeprefix("*").lstrip(".")
        if item == "*" or host == name or f"{host}:{port}" == name or host.endswith(f".{name}"):
            return True
    return False


def environment_proxies(environ: Mapping[str, str]) -> Proxies:
    """What `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` (or upper case) say."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    every = value("all_proxy")
    found = {scheme: value(f"{scheme}_proxy") or every for scheme in ("http", "https")}
    return Proxies({s: url for s, url in found.items() if url}, value("no_proxy"))


class Pools:
    """Connections for many threads, kept open between requests, by proxy; TLS is verified.

    `connect` and `silence` are the seconds to a connection and those without a byte;
    `options` are urllib3's (`num_pools`, `maxsize`).
    """

    def __init__(self, *, connect: float, silence: float, **options: int) -> None:
        self._connect = connect
        self._silence = silence
        self._options = options
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._guard = threading.Lock()

    def through(self, proxy: str) -> "urllib3.PoolManager":
        """The connections through a proxy, or those without one where it is empty."""
        import ssl

        import urllib3

        with self._guard:
            found = self._pools.get(proxy)
            if found is None:
                timeout = urllib3.Timeout(connect=self._connect, read=self._silence)
                # OpenSSL's default authorities; it honours SSL_CERT_FILE and SSL_CERT_DIR.
                trust = ssl.create_default_context()
                found = pool(proxy, timeout=timeout, ssl_context=trust, **self._options)
                self._pools[proxy] = found
            return found


def pool(proxy: str, **options: Any) -> "urllib3.PoolManager":
    """Connections through a proxy, or without one where it is empty; `options` are urllib3's."""
    import urllib3

    if not proxy:
        return urllib3.PoolManager(**options)
    login = basic(proxy)
    headers = {"Proxy-Authorization": login} if login else {}
    return urllib3.ProxyManager(bare(proxy), proxy_headers=headers, **options)


def bare(url: str) -> str:
    """The URL without user, password and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def basic(url: str) -> str:
    """The value of an Authorization header for the user and password of a URL; empty without any."""
    import base64

    parts = urlsplit(url)
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def cause(error: BaseException) -> str:
    """The innermost reason, without the objects that urllib3 prints around it."""
    inner: BaseException = error
    while isinstance(nested := (inner.__cause__ or (inner.args[0] if inner.args else None)), BaseException):
        inner = nested
    text = getattr(inner, "strerror", None) or str(inner)
    return text.rpartition("object at 0x")[2].partition(">: ")[2] or text if "object at 0x" in text else text
