"""HTTP GET into a sink: bounded, resumable, through the machine's proxies, trusting its authorities."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from buildtool.proxy import Pools, Proxies, bare, basic, cause

if TYPE_CHECKING:
    import urllib3

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 10
_CHUNK = 1 << 18
_AGENT = "buildtool/0.1"
#: Seconds to a connection, and seconds without a byte.
_CONNECT, _SILENCE = 20.0, 60.0
_LONGEST_WAIT = 30.0

Sink = Callable[[bytes], object]


class HttpError(Exception):
    """Why a URL gave no file.  `again`: it may be worth another try, after `wait` seconds."""

    def __init__(self, why: str, *, again: bool = False, wait: float = 0.0, down: bool = False) -> None:
        super().__init__(why)
        self.again = again
        self.wait = wait
        self.down = down


class Web:
    """GET for many threads.  Connections are kept open between requests."""

    def __init__(self, proxies: Proxies, silence: float = _SILENCE) -> None:
        self._proxies = proxies
        self._pools = Pools(connect=_CONNECT, silence=silence, maxsize=16)

    def get(
        self,
        url: str,
        sink: Sink,
        *,
        limit: int,
        offset: int = 0,
        proxies: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> str:
        """Send what follows the first `offset` bytes of the file at `url` to `sink`.

        `limit` bounds the whole file, in bytes; `proxies` by scheme serve where the
        environment names none; `accept` are the media types wanted.  Returns what the
        server says in Last-Modified.  HttpError, with what was sent before it standing.
        """
        import urllib3

        headers = {"Accept-Encoding": "identity", "User-Agent": _AGENT}
        if accept:
            headers["Accept"] = accept
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            response = self._answer(url, headers, proxies or {})
            try:
                _receive(response, sink, limit, offset)
                return response.headers.get("Last-Modified", "")
            finally:
                response.close()
        except urllib3.exceptions.NewConnectionError as e:
            raise HttpError(f"no connection: {cause(e)}", again=True, down=True) from e
        except urllib3.exceptions.ConnectTimeoutError as e:
            raise HttpError("no connection in time", again=True, down=True) from e
        except urllib3.exceptions.SSLError as e:
            raise HttpError(f"no trust in the server's certificate: {cause(e)}") from e
        except urllib3.exceptions.ProxyError as e:
            raise HttpError(f"the proxy failed: {cause(e.original_error)}", again=True, down=True) from e
        except (urllib3.exceptions.IncompleteRead, urllib3.exceptions.ProtocolError) as e:
            raise HttpError("the connection broke off", again=True) from e
        except urllib3.exceptions.HTTPError as e:
            raise HttpError(cause(e), again=True) from e

    def _answer(
        self, url: str, headers: dict[str, str], proxies: Mapping[str, str]
    ) -> "urllib3.BaseHTTPResponse":
        """Follow redirects to an answer of 200 or 206; credentials stay with the origin that they are for."""
        first = _origin(url)
        credentials = basic(url)
        for _ in range(_MOST_REDIRECTS):
            plain = bare(url)
            own = headers
            if credentials and _origin(url) == first:
                own = {**headers, "Authorization": credentials}
            response = self._pools.through(self._proxies.of(url, proxies)).request(
                "GET",
                plain,
                headers=own,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
            if response.status not in _REDIRECTS:
                break
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            _check_redirect(url, target)
            url = target
        else:
            raise HttpError(f"more than {_MOST_REDIRECTS} redirects")
        if response.status not in (200, 206):
            response.close()
            raise _refusal(response.status, response.headers.get("Retry-After", ""))
        return response


def redacted(url: str) -> str:
    """The URL without user, password and query, fit to be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _receive(response: "urllib3.BaseHTTPResponse", sink: Sink, limit: int, offset: int) -> None:
    skip = 0
    if offset and response.status == 200:
        skip = offset
    elif response.status == 206 and not response.headers.get("Content-Range", "").startswith(
        f"bytes {offset}-"
    ):
        raise HttpError("the server answers with another range than asked for")
    seen = offset - skip
    for chunk in response.stream(_CHUNK, decode_content=False):
        seen += len(chunk)
        if seen > limit:
            raise HttpError(f"the file is larger than {limit} bytes")
        if skip:
            part = chunk[skip:]
            skip = max(0, skip - len(chunk))
            chunk = part
        if chunk:
            sink(chunk)


def _check_redirect(url: str, target: str) -> None:
    before, after = urlsplit(url), urlsplit(target)
    if after.scheme not in ("http", "https") or not after.netloc:
        raise HttpError("redirected to something that is no web address")
    if before.scheme == "https" and after.scheme == "http":
        raise HttpError(f"redirected from https to plain http at {after.hostname}")


def _refusal(status: int, wait: str) -> HttpError:
    again = status in (408, 425, 429) or status >= 500
    seconds = min(float(wait), _LONGEST_WAIT) if wait.isascii() and wait.isdigit() else 0.0
    return HttpError(f"the server answers {status}", again=again, wait=seconds)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]
