"""Signed envelopes: DSSE 1.0 (secure-systems-lab/dsse), as in-toto and cosign write and read them."""

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.attest.keys import PrivateKey

#: What in-toto statements are called in an envelope, and the envelope itself as a blob.
IN_TOTO = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"

#: Bytes of the largest envelope, and its most signatures.
LARGEST = 4 << 20
_MOST_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature; `keyid` is a hint that nobody vouches for."""

    data: bytes
    keyid: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope that was opened: nothing of it is verified."""

    kind: str
    body: bytes
    signatures: tuple[Signature, ...]

    @property
    def authenticated(self) -> bytes:
        """The bytes that signatures are over."""
        return pae(self.kind, self.body)


class _Signature(Struct):
    sig: str
    keyid: str = ""


class _Envelope(Struct, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def pae(kind: str, body: bytes) -> bytes:
    """The pre-authentication encoding (DSSE protocol.md, "Signature Definition")."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)


def seal(kind: str, body: bytes, key: "PrivateKey") -> bytes:
    """The envelope of a body that a key signs, as JSON; the same bytes each time."""
    signature = _Signature(_text(key.sign(pae(kind, body))), key.public.id)
    return msgspec.json.encode(_Envelope(_text(body), kind, [signature]), order="sorted") + b"\n"


def opened(data: bytes) -> Signed:
    """What an envelope holds; BuildError `bad-envelope`."""
    if len(data) > LARGEST:
        raise _bad(f"it has more than {LARGEST} bytes")
    try:
        found = msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise _bad(str(exc)) from exc
    if not 0 < len(found.signatures) <= _MOST_SIGNATURES:
        raise _bad(f"it has {len(found.signatures)} signatures")
    signatures = tuple(Signature(_bytes(s.sig), s.keyid) for s in found.signatures)
    return Signed(found.payload_type, _bytes(found.payload), signatures)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """Standard or URL-safe base64, as the specification asks of verifiers."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad(f"base64: {exc}") from exc


def _bad(why: str) -> BuildError:
    return BuildError("bad-envelope", f"this is not a signed envelope (DSSE): {why}")
