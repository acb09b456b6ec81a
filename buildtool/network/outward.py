"""The way out: requests of a step, asked of the servers outside in the step's stead.

TLS is verified by the authorities of this machine.  What a request shows of credentials
goes to the origin that the step addressed and nowhere else.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from buildtool.network.asking import Asking, normal
from buildtool.network.recording import Broken
from buildtool.proxy import Pools, Proxies, bare, basic, cause

if TYPE_CHECKING:
    import urllib3

_CHUNK = 1 << 18
#: Seconds to a connection, and seconds without a byte: clients give up long before.
_CONNECT, _SILENCE = 20.0, 300.0
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 10
#: Headers that are of one connection, or that would make the answer another one than the whole.
_NOT_PASSED = frozenset(
    (
        *("accept-encoding", "range", "if-match", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "connection", "content-length", "expect", "host", "http2-settings"),
        *("keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"),
        "upgrade",
    )
)
_CREDENTIALS = frozenset(("authorization", "cookie"))


class Response:
    """An answer from outside (recording.Answer)."""

    def __init__(self, response: "urllib3.BaseHTTPResponse", url: str) -> None:
        self._response = response
        self.url = url
        self.status = response.status
        length = response.headers.get("content-length", "")
        chunked = "transfer-encoding" in response.headers
        self.length = int(length) if length.isascii() and length.isdigit() and not chunked else None

    def header(self, name: str) -> tuple[str, ...]:
        """The values of a header."""
        return tuple(self._response.headers.getlist(name))

    def chunks(self) -> Iterable[bytes]:
        """The body as it arrives; Broken if it ends before its length."""
        import urllib3

        seen = 0
        try:
            while chunk := self._response.read1(_CHUNK, decode_content=False):
                seen += len(chunk)
                yield chunk
        except urllib3.exceptions.HTTPError as e:
            raise Broken(f"the connection broke off: {cause(e)}") from e
        if self.length is not None and seen != self.length:
            raise Broken(f"the connection broke off after {seen:,} of {self.length:,} bytes")

    def close(self) -> None:
        """Give the connection back if the answer was read to its end, else close it."""
        self._response.close()

    def release(self) -> None:
        """Read to the end what little there is, so that the connection can be used again."""
        self._response.drain_conn()


class Outward:
    """Asks servers; any number of threads may use one."""

    def __init__(self, proxies: Proxies, *, silence: float = _SILENCE) -> None:
        self._proxies = proxies
        self._pools = Pools(connect=_CONNECT, silence=silence, num_pools=100, maxsize=64)

    def ask(
        self, asking: Asking, addresses: tuple[str, ...], body: IO[bytes] | None, *, is_archive: bool
    ) -> Response:
        """The answer of the first address that has it, else the first one's; Broken if none can be reached.

        An archive's redirects are followed: which servers it has is not the step's business.
        """
        failure: Broken | None = None
        poor: Response | None = None
        for address in addresses:
            try:
                response = self._once(asking, address, body, follow=is_archive)
            except Broken as e:
                failure = failure or e
                continue
            if response.status not in (403, 404, 410) and response.status < 500:
                if poor is not None:
                    poor.close()
                return response
            if poor is None:
                poor = response
            else:
                response.close()
        if poor is not None:
            return poor
        assert failure is not None
        raise failure

    def _once(self, asking: Asking, address: str, body: IO[bytes] | None, *, follow: bool) -> Response:
        headers = [(n, v) for n, v in asking.headers if n not in _NOT_PASSED and n not in _CREDENTIALS]
        own = [(n, v) for n, v in asking.headers if n in _CREDENTIALS]
        theirs = _origin(asking.url)
        for _ in range(_MOST_REDIRECTS):
            shown = own if _origin(address) == theirs else []
            if login := basic(address):
                shown = [("authorization", login)]
            response = self._request(asking.method, address, [*headers, *shown], body, trusted=follow)
            target = next(iter(response.header("location")), "")
            if not (follow and response.status in _REDIRECTS and target):
                return response
            response.close()
            before, address = address, urljoin(address, target)
            if urlsplit(before).scheme == "https" and urlsplit(address).scheme != "https":
                raise Broken(f"{_origin(before)[1]} redirects from https to {urlsplit(address).scheme}")
        raise Broken(f"more than {_MOST_REDIRECTS} redirects")

    def _request(
        self, method: str, url: str, headers: list[tuple[str, str]], body: IO[bytes] | None, *, trusted: bool
    ) -> Response:
        import urllib3

        # Capitalised as urllib3 does its own, which would stand beside them otherwise.
        fields = urllib3.HTTPHeaderDict((name.title(), value) for name, value in headers)
        fields["Accept-Encoding"] = "identity"
        if "User-Agent" not in fields:
            fields["User-Agent"] = urllib3.util.SKIP_HEADER
        if body is not None:
            body.seek(0, 2)
            fields["Content-Length"] = str(body.tell())
            body.seek(0)
        proxy = self._proxies.of(url, {})
        if not proxy and not trusted:
            _check_host(urlsplit(url).hostname or "")
        try:
            response = self._pools.through(proxy).request(
                method,
                bare(url),
                headers=fields,
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as e:
            raise Broken(_why(e)) from e
        except ValueError as e:
            raise Broken(f"it cannot be asked of a server: {e}") from e
        return Response(response, url)


def _check_host(host: str) -> None:
    """Refuse what a container could not reach either: this machine itself, and the cloud's own services."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no host name"
        raise Broken(f"no address is known for {host}: {reason}") from e
    for address in found:
        place = ipaddress.ip_address(str(address).partition("%")[0])
        if place.is_loopback or place.is_link_local or place.is_unspecified:
            raise Broken(f"{host} is {address}, which is this machine's own")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(normal(url))
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _why(error: "urllib3.exceptions.HTTPError") -> str:
    import urllib3

    kinds: Mapping[type[Exception], Callable[[], str]] = {
        urllib3.exceptions.NewConnectionError: lambda: f"no connection: {cause(error)}",
        urllib3.exceptions.ConnectTimeoutError: lambda: "no connection in time",
        urllib3.exceptions.SSLError: lambda: f"no trust in the server's certificate: {cause(error)}",
        urllib3.exceptions.ProxyError: lambda: f"the proxy failed: {cause(error)}",
        urllib3.exceptions.ProtocolError: lambda: "the connection broke off",
    }
    for kind, text in kinds.items():
        if isinstance(error, kind):
            return text()
    return cause(error)
