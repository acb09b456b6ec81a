"""Challenges: what a registry says in WWW-Authenticate (RFC 9110, section 11.6.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = re.compile(rf"\s*({_TOKEN})\s*=\s*({_TOKEN}|{_QUOTED})\s*(?:,|$)")
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=\s|,|$)")
_LONGEST = 8 << 10


@dataclass(frozen=True, slots=True)
class Challenge:
    """`bearer` asks for a token from `realm`, an address; otherwise user and password are asked for."""

    bearer: bool
    realm: str = ""
    service: str = ""


def parse_challenges(values: Iterable[str]) -> Challenge | None:
    """The challenge to answer: a bearer token where it is one of several, else basic; None for others."""
    found: list[Challenge] = []
    for value in values:
        rest = value[:_LONGEST]
        while scheme := _SCHEME.match(rest):
            rest = rest[scheme.end() :]
            parameters: dict[str, str] = {}
            while pair := _PARAMETER.match(rest):
                parameters[pair[1].lower()] = _plain(pair[2])
                rest = rest[pair.end() :]
            kind = scheme[1].lower()
            if kind == "bearer" and parameters.get("realm"):
                found.append(Challenge(True, parameters["realm"], parameters.get("service", "")))
            elif kind == "basic":
                found.append(Challenge(False))
    return next((c for c in found if c.bearer), found[0] if found else None)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
