"""Authorization: what a registry is told of who asks, and how a token for it is come by.

    nothing known -> request without -> 401 + challenge -> basic: the credential itself
                                                        -> bearer: a token of the realm

A credential goes to the registry that it is kept for, and to the realm that this
registry names, if the realm belongs to it by its name or by the settings and is
reached as safely as the registry.  A token goes to the registry alone.  Answers are
remembered per registry and scope; nothing of it is ever written down.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from buildtool.diag import BuildError
from buildtool.registry.challenge import Challenge
from buildtool.registry.credentials import Credential
from buildtool.registry.fault import Fault
from buildtool.registry.place import Place, related

_LONGEST_TOKEN = 128 << 10
#: What a token may be made of: printable, so that it cannot end its header (RFC 6750, section 2.1).
_TOKEN = re.compile(r"[\x21-\x7e]+")
#: Seconds that a token holds where the answer does not say (distribution, "Token Authentication").
_HOLDS = 60
#: A token is renewed this long before its end.
_MARGIN = 10
_CLIENT = "buildtool"

#: Sends one request to a realm: method, URL, headers, body, whether certificates may be unverified.
Ask = Callable[[str, str, dict[str, str], bytes | None, bool], tuple[int, bytes]]


class Keys(Protocol):
    """Where credentials come from."""

    def find(self, host: str, path: str) -> Credential | None:
        """The credential for `HOST/PATH`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be done with which repositories: `repository:PATH:ACTIONS`, several for a mount."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, path: str, actions: str = "pull", mount_from: str = "") -> "Scope":
        """For a repository, and for reading one that a blob is mounted from."""
        more = (f"repository:{mount_from}:pull",) if mount_from else ()
        return cls((f"repository:{path}:{actions}", *more))


#: Of a request that is about no repository.
LOGIN = Scope(())


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    until: float


class Authorizer:
    """Gives requests their Authorization header; may be used from many threads."""

    def __init__(self, keys: Keys, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._ask = ask
        self._clock = clock
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[tuple[str, Scope], _Token] = {}
        self._guard = threading.RLock()

    def header(self, place: Place, scope: Scope) -> str:
        """The header for a request to a registry; empty where none was asked for yet.

        Fault, BuildError `foreign-realm` and those of the credentials.
        """
        with self._guard:
            challenge = self._challenges.get(place.host)
            if challenge is None:
                return ""
            if not challenge.bearer:
                credential = self._keys.find(place.host, place.path)
                return "" if credential is None else credential.basic
            token = self._tokens.get((place.host, scope))
            if token is None or token.until < self._clock():
                token = self._tokens[place.host, scope] = self._fetch(place, challenge, scope)
            return f"Bearer {token.value}"

    def challenged(self, place: Place, scope: Scope, challenge: Challenge, refused: str) -> None:
        """A registry refused a request that had the header `refused`: what it wants is remembered."""
        with self._guard:
            self._challenges[place.host] = challenge
            token = self._tokens.get((place.host, scope))
            if token is not None and refused == f"Bearer {token.value}":
                del self._tokens[place.host, scope]

    def _fetch(self, place: Place, challenge: Challenge, scope: Scope) -> _Token:
        realm = challenge.realm
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise Fault(
                f"{place.host} names {realm[:200]!r} as the place for tokens, which is no web address"
            )
        credential = self._keys.find(place.host, place.path)
        if credential is not None:
            _check_realm(place, parts.scheme, parts.netloc)
        wanted = [("service", challenge.service)] if challenge.service else []
        headers = {"Accept": "application/json"}
        if credential is not None and credential.identity_token:
            wanted += [("grant_type", "refresh_token"), ("client_id", _CLIENT)]
            wanted += [("scope", " ".join(scope.parts)), ("refresh_token", credential.identity_token)]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            status, body = self._ask("POST", realm, headers, urlencode(wanted).encode(), place.insecure)
        else:
            if credential is not None:
                headers["Authorization"] = credential.basic
                wanted.append(("account", credential.user))
            query = urlencode([*wanted, *(("scope", s) for s in scope.parts)])
            url = f"{realm}{'&' if parts.query else '?'}{query}"
            status, body = self._ask("GET", url, headers, None, place.insecure)
        if status != 200:
            who = "the login" if credential is not None else "anonymous use"
            raise Fault(f"{parts.netloc}, which gives tokens for {place.host}, refuses {who}", status=status)
        return self._token(body, parts.netloc)

    def _token(self, body: bytes, realm: str) -> _Token:
        """The token of an answer (distribution, "Token Authentication Specification")."""
        try:
            found = json.loads(body)
            value = found.get("token") or found.get("access_token")
            holds = found.get("expires_in")
        except (ValueError, RecursionError, AttributeError):
            value = holds = None
        if not isinstance(value, str) or len(value) > _LONGEST_TOKEN or not _TOKEN.fullmatch(value):
            raise Fault(f"{realm} answers something else than a token")
        seconds = holds if isinstance(holds, int | float) and 0 < holds < 1 << 31 else _HOLDS
        return _Token(value, self._clock() + max(seconds - _MARGIN, seconds / 2))


def _check_realm(place: Place, scheme: str, netloc: str) -> None:
    """Refuse to hand a credential to a realm that may not have it; BuildError `foreign-realm`."""
    if not (related(place.address, netloc) or netloc in place.realms):
        raise BuildError(
            "foreign-realm",
            f"{place.host} asks that its login be sent to {netloc}, which does not belong to it",
            hint=f'to trust it, write realms = ["{netloc}"] below [registries."{place.host}"] '
            "in buildtool.toml",
            exit_status=1,
        )
    if scheme != "https" and not place.insecure:
        raise BuildError(
            "foreign-realm",
            f"{place.host} asks that its login be sent to {netloc} in plain text",
            hint="a registry whose login may travel unprotected has to be called insecure in the settings",
            exit_status=1,
        )
