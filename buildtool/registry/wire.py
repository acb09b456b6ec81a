"""The wire: requests to registries, with authorization, redirects, retries and bounds.

A request is sent to the registry with its Authorization; an answer of 401 is followed
by one more try with what its challenge asks for.  Redirects of GET and HEAD are
followed without any credential unless they stay at the registry.  What may be asked
again (a busy or broken registry) is, after growing pauses or as Retry-After says.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urljoin, urlsplit

from buildtool.registry.auth import Authorizer, Keys, Scope
from buildtool.registry.challenge import parse_challenges
from buildtool.registry.fault import Fault, faults, refusal, retry_after
from buildtool.registry.place import Place
from buildtool.registry.pools import Pools

if TYPE_CHECKING:
    import urllib3

_T = TypeVar("_T")

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 10
_CHUNK = 1 << 18
_LARGEST_ERROR = 64 << 10
_LARGEST_TOKEN = 256 << 10
_AGENT = "buildtool/0.1"
_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body was read; names of headers in lower case; `url` is who gave it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False, default=b"")
    url: str = ""


class Wire:
    """Sends requests for many threads; `tries` bounds how often one that failed is sent."""

    def __init__(
        self, keys: Keys, pools: Pools, *, tries: int = 4, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._pools = pools
        self._auth = Authorizer(keys, self._ask_realm)
        self.tries = max(1, tries)
        self._pause = pause
        self._schemes: dict[str, str] = {}
        self._guard = threading.Lock()

    # ------------------------------------------------------------ requests

    def ask(
        self,
        place: Place,
        method: str,
        target: str,
        scope: Scope,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        expect: Collection[int] = (200,),
        limit: int = 1 << 20,
    ) -> Reply:
        """Send a request that can be sent again, and read its answer whole; Fault, BuildError.

        `target` is a path of the registry or an address that it gave us; `expect` are
        the statuses that are no fault, `limit` bounds the body in bytes.
        """

        def once() -> Reply:
            with self.open(place, method, target, scope, headers=headers or {}, body=body) as response:
                if response.status not in expect:
                    raise self.refused(place, response)
                data = b"" if method == "HEAD" else read_bounded(response, limit)
                return Reply(response.status, lowered(response), data, response.url or "")

        return self.again(once)

    def again(self, once: Callable[[], _T]) -> _T:
        """Do something until it does not fail with a fault that is worth another try."""
        for number in range(1, self.tries + 1):
            try:
                return once()
            except Fault as fault:
                if not fault.again or number == self.tries:
                    raise
                self.wait(fault, number)
        raise AssertionError("the last try raises")

    def wait(self, fault: Fault, number: int) -> None:
        """Pause before another try: as long as the registry says, else longer each time; bounded."""
        self._pause(min(_LONGEST_PAUSE, max(fault.wait, _PAUSE * 2 ** (number - 1))))

    @contextmanager
    def open(
        self,
        place: Place,
        method: str,
        target: str,
        scope: Scope,
        *,
        headers: Mapping[str, str],
        body: "bytes | BinaryIO | None" = None,
    ) -> "Iterator[urllib3.BaseHTTPResponse]":
        """Send a request once and hand out the answer, its body not read yet; Fault, BuildError.

        A body that is a file cannot be sent twice: a 401 in answer to it is a fault that
        is worth another try, since the next request has another token.
        """
        with faults(place.address):
            url = target if "://" in target else f"{self.scheme(place)}://{place.address}{target}"
            own = self._is_own(place, url)
            header = self._auth.header(place, scope) if own else ""
            response = self._send(place, method, url, headers, header, body)
            if response.status == 401 and own and self._challenged(place, scope, response, header):
                response.close()
                if body is not None and not isinstance(body, bytes):
                    raise Fault(f"{place.address} asks for another token", status=401, again=True)
                header = self._auth.header(place, scope)
                response = self._send(place, method, url, headers, header, body)
            try:
                yield response
            finally:
                response.close()

    def scheme(self, place: Place) -> str:
        """`https`, or `http` where the registry may be insecure and does not speak TLS."""
        if not place.insecure:
            return "https"
        with self._guard:
            known = self._schemes.get(place.address)
            if known is None:
                known = "https" if self._pools.speaks_tls(place.address) else "http"
                self._schemes[place.address] = known
            return known

    def refused(self, place: Place, response: "urllib3.BaseHTTPResponse") -> Fault:
        """The fault that an answer is."""
        body = response.read(_LARGEST_ERROR, decode_content=False)
        host = urlsplit(response.url or "").netloc or place.address
        return refusal(host, response.status, body, retry_after(response))

    # ------------------------------------------------------------ one request

    def _send(
        self,
        place: Place,
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str,
        body: "bytes | BinaryIO | None",
    ) -> "urllib3.BaseHTTPResponse":
        """Send, and follow redirects where the method has no body."""
        for _ in range(_MOST_REDIRECTS):
            sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
            if authorization and self._is_own(place, url):
                sent["Authorization"] = authorization
            insecure = place.insecure and urlsplit(url).netloc == place.address
            response = self._pools.of(url, insecure=insecure).request(
                method,
                url,
                headers=sent,
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
            # A pool knows the path alone.
            response.url = url
            if method not in ("GET", "HEAD") or response.status not in _REDIRECTS:
                return response
            target = urljoin(url, response.headers.get("Location", ""))
            response.close()
            check_address(place, url, target)
            url = target
        raise Fault(f"{place.address} redirects more than {_MOST_REDIRECTS} times")

    def _is_own(self, place: Place, url: str) -> bool:
        """Whether an address is at the registry itself, reached as it has to be."""
        parts = urlsplit(url)
        return parts.netloc == place.address and parts.scheme == self.scheme(place)

    def _challenged(
        self, place: Place, scope: Scope, response: "urllib3.BaseHTTPResponse", refused: str
    ) -> bool:
        """Whether an answer of 401 asks for something that we have not tried."""
        # An answer that a redirect led to is somebody else's: its challenge is not heard.
        if not self._is_own(place, response.url or ""):
            return False
        challenge = parse_challenges(response.headers.getlist("WWW-Authenticate"))
        if challenge is None:
            return False
        self._auth.challenged(place, scope, challenge, refused)
        return self._auth.header(place, scope) != refused

    def _ask_realm(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, insecure: bool
    ) -> tuple[int, bytes]:
        """Ask for a token; redirects are not followed, since a credential may be in the request."""
        host = urlsplit(url).netloc

        def once() -> tuple[int, bytes]:
            with faults(host):
                response = self._pools.of(url, insecure=insecure).request(
                    method,
                    url,
                    headers={"User-Agent": _AGENT, **headers},
                    body=body,
                    preload_content=False,
                    redirect=False,
                    retries=False,
                )
                response.url = url
                try:
                    data = read_bounded(response, _LARGEST_TOKEN)
                finally:
                    response.close()
            if response.status == 429 or response.status >= 500:
                raise refusal(host, response.status, data, retry_after(response))
            return response.status, data

        return self.again(once)


def check_address(place: Place, url: str, target: str) -> None:
    """Refuse an address from a registry that is none, or is less safe than the one that named it; Fault."""
    before, after = urlsplit(url), urlsplit(target)
    if after.scheme not in ("http", "https") or not after.hostname or after.username is not None:
        raise Fault(f"{place.address} sends us to something that is no web address")
    if before.scheme == "https" and after.scheme == "http":
        raise Fault(f"{place.address} sends us from https to plain http at {after.hostname}")


def read_bounded(response: "urllib3.BaseHTTPResponse", limit: int) -> bytes:
    """The whole body of an answer; Fault for one that is larger."""
    data = bytearray()
    for chunk in response.stream(_CHUNK, decode_content=False):
        data += chunk
        if len(data) > limit:
            raise Fault(f"{urlsplit(response.url or '').netloc} answers with more than {limit} bytes")
    return bytes(data)


def lowered(response: "urllib3.BaseHTTPResponse") -> dict[str, str]:
    """The headers of an answer, their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}
