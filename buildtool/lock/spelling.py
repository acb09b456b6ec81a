"""How a lock spells an exchange: one line, as short as it can be and still be read by people.

    GET debian:dists/bookworm/InRelease 200 151078 sha256:... last-modified=Sat,+11+Jul+2026+10:17:11+GMT
    POST https://example.org/app.git/git-upload-pack 200 2048 sha256:... ?sha256:... ?git-protocol=version=2

Method, place, status, size and digest of the answer's body (`-` for none); then what
begins with `?` is of the request, the digest of its body and `NAME=VALUE` for a header,
and what does not is a header of the answer.  In values a space is `+`, and what else could
be mistaken is percent-encoded, as in the queries of addresses.
"""

import re
from urllib.parse import quote_plus, unquote_plus

from buildtool.address import has_credentials, shown
from buildtool.digest import Digest, Key, key_of, parse_digest
from buildtool.lock.exchanges import Exchange, RunPins

#: What stands for itself in a value beside letters, digits and `_.-~`.
_PLAIN = "/:;,=()<>@!*'?&#"
_STATUS = re.compile(r"[1-5][0-9]{2}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,14}")


def spell(exchange: Exchange) -> str:
    """The line of an exchange; users, passwords and other credentials of addresses are left out."""
    words = [
        exchange.method,
        shown(exchange.place),
        str(exchange.status),
        str(exchange.size),
        exchange.body or "-",
    ]
    if exchange.request is not None:
        words.append(f"?{exchange.request}")
    words += [f"?{_header(*pair)}" for pair in exchange.varies]
    words += [_header(*pair) for pair in exchange.headers]
    return " ".join(words)


def parse(text: str) -> Exchange:
    """The exchange that a line spells; ValueError, or BuildError `bad-digest` or `bad-exchange`."""
    words = text.split(" ")
    if len(words) < 5:
        raise ValueError("an exchange is: method place status size digest [?header=value] [header=value]")
    method, place, status, size, body, *more = words
    if not _STATUS.fullmatch(status):
        raise ValueError(f"{status!r} is not a status")
    if not _SIZE.fullmatch(size):
        raise ValueError(f"{size!r} is not a size in bytes")
    if has_credentials(place):
        raise ValueError("a place of a lock has no user, no password and no other credentials")
    request: Digest | None = None
    if more and more[0].startswith("?sha256:"):
        request = parse_digest(more.pop(0)[1:])
    varies = [_pair(word[1:]) for word in more if word.startswith("?")]
    headers = [_pair(word) for word in more if not word.startswith("?")]
    return Exchange(
        method=method,
        place=place,
        status=int(status),
        size=int(size),
        body=None if body == "-" else parse_digest(body),
        request=request,
        varies=tuple(sorted(varies)),
        headers=tuple(sorted(headers)),
    )


def recording_key(pins: RunPins) -> Key:
    """What stands for a recording in the keys of results that were made with it."""
    return key_of([pins.step, pins.clock, [spell(exchange) for exchange in pins.exchanges]])


def _header(name: str, value: str) -> str:
    return f"{name}={quote_plus(shown(value), safe=_PLAIN, errors='surrogateescape')}"


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"{word[:200]!r} is not header=value")
    return name, unquote_plus(value, errors="surrogateescape")
