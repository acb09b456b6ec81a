"""Cookies: kept on this side in a step's stead, so that none reaches a layer and a replay lacks none."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.message import Message
from typing import TYPE_CHECKING, cast

from buildtool.network.asking import Asking

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from http.cookiejar import CookieJar

#: Cookies that a step can have: servers could send them without end.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class _Answer:
    """As much of an answer as a cookie jar looks at."""

    headers: Message

    def info(self) -> Message:
        return self.headers


class Cookies:
    """What servers told a step to remember (RFC 6265), for as long as it runs; safe for several threads."""

    def __init__(self) -> None:
        self._jar: CookieJar | None = None
        self._lock = threading.Lock()

    def shown(self, asking: Asking) -> Asking:
        """The request with the cookies that its server gave, after those that the step has of its own."""
        with self._lock:
            if self._jar is None:
                return asking
            from urllib.request import Request

            request = Request(asking.url)
            self._jar.add_cookie_header(request)
        given = request.get_header("Cookie")
        if not given:
            return asking
        others = tuple((name, value) for name, value in asking.headers if name != "cookie")
        own = [value for name, value in asking.headers if name == "cookie"]
        return replace(asking, headers=(*others, ("cookie", "; ".join([*own, given]))))

    def keep(self, url: str, values: Iterable[str]) -> None:
        """Remember what an answer from `url` sets, each a value of `Set-Cookie`."""
        values = tuple(values)
        if not values:
            return
        from http.cookiejar import CookieJar
        from urllib.request import Request

        message = Message()
        for value in values:
            message["Set-Cookie"] = value
        with self._lock:
            if self._jar is None:
                self._jar = CookieJar()
            if len(self._jar) < _MOST:
                self._jar.extract_cookies(cast("HTTPResponse", _Answer(message)), Request(url))
