"""A tiny OpenPGP signer (RFC 4880) for archives that tests make up: one RSA key, clear-signed messages.

It spares the tests an installed gpg.  The key is worth nothing: its secret half stands here.
"""

import base64
import hashlib

_N = int(
    "e31de9f12408583a5b4b23641289bfb1875d5e01797906bc50bfb63ee47bedea7ea8d3bb7a8dbffb5788c4e0e2d3672c"
    "29cc3f4bfdcfe800738d64545bcd7835cd95d9a9d761c6abfa702896cee0af3378875718053e346ee08ebf9e51f7f4db"
    "a5b6312b2f555c662d64ef3558d9840dbdb7c17c6a9a5c33e08f238c2ba0faef2be138fa647ef1e16a185d5bbb63233a"
    "21fc4ad4db05e2b25dc1ca0837bc2d21520ba1557ab04586218c253cd1a8dc8bff63d576c8575a493db592cfa59efa77"
    "6938e785d9d72351837e6fade3dbdbb76e2e1f7328fcc15706759cc5d30c8d2682085e4d20206f037bec0eff9654f21c"
    "f42e1b8a61b602c80cef6ab965f437cf",
    16,
)
_D = int(
    "c46c52afe361f42c4458afbb14ed5d84c475d39fa2d731241d12312423a7ab146b86c7d8151e1333e578bc0d631f42d3"
    "c732866bca8fcd2ed6c12a4c6b394106074fda783176b6c4764c1a4e938d6ef92cfca02e7e1a566eae77c6f1be229cfa"
    "7a4f20272140ca30f4819f009c5f42fe3f5e75508d42030c3ae290f3e1a7d05cf898820da0a3c0692e102d42009f1143"
    "15b332df4acce04d28b0f6f5d2cd3d11e9bb6db50a4b3ef4db81ffe0d3e437f2233cafc7b58a46e4fca4c748c1a488c2"
    "3425d7c309d76caf6c3c37a47c17ff27749e7f47f8b24dd77c4c78b66a1ce4bbee2f2ebf338b60afca3ee58bd69f2e37"
    "083d4996a7878efd6f21df44b207785",
    16,
)
_E = 65537

#: The prefix of a SHA-256 digest in PKCS #1 v1.5 (RFC 8017, 9.2).
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
CREATED = 1_500_000_000


def public_key(*, created: int = CREATED, valid_seconds: int = 0) -> bytes:
    """The public key, as binary packets; it expires `valid_seconds` after its creation, 0 for never."""
    key = _key_body(created)
    user = b"Test Archive <archive@example.org>"
    hashed = _subpacket(2, created.to_bytes(4, "big")) + _subpacket(27, b"\x03")
    if valid_seconds:
        hashed += _subpacket(9, valid_seconds.to_bytes(4, "big"))
    data = _hashed_key(key) + b"\xb4" + len(user).to_bytes(4, "big") + user
    return _packet(6, key) + _packet(13, user) + _packet(2, _signature(0x13, data, hashed, created))


def armoured(packets: bytes) -> bytes:
    """The packets as an armoured block of public keys."""
    return _armour("PUBLIC KEY BLOCK", packets)


def clear_signed(text: bytes, *, key_created: int = CREATED, signed: int = CREATED + 1) -> bytes:
    """A clear-signed message; `text` ends in a newline and has no line that begins with a dash."""
    canonical = b"\r\n".join(row.rstrip(b" \t\r") for row in text.removesuffix(b"\n").split(b"\n"))
    hashed = _subpacket(2, signed.to_bytes(4, "big"))
    packet = _packet(2, _signature(0x01, canonical, hashed, key_created))
    head = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    return head + text + _armour("SIGNATURE", packet)


def _key_body(created: int) -> bytes:
    return b"\x04" + created.to_bytes(4, "big") + b"\x01" + _number(_N) + _number(_E)


def _hashed_key(body: bytes) -> bytes:
    return b"\x99" + len(body).to_bytes(2, "big") + body


def _signature(kind: int, data: bytes, hashed: bytes, key_created: int) -> bytes:
    head = bytes((4, kind, 1, 8)) + len(hashed).to_bytes(2, "big") + hashed
    digest = hashlib.sha256(data + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - 51) + b"\x00" + _SHA256_INFO + digest
    number = pow(int.from_bytes(padded, "big"), _D, _N)
    issuer = _subpacket(16, hashlib.sha1(_hashed_key(_key_body(key_created))).digest()[-8:])
    return head + len(issuer).to_bytes(2, "big") + issuer + digest[:2] + _number(number)


def _packet(tag: int, body: bytes) -> bytes:
    return bytes((0xC0 | tag, 0xFF)) + len(body).to_bytes(4, "big") + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes((len(body) + 1, kind)) + body


def _number(value: int) -> bytes:
    bits = value.bit_length()
    return bits.to_bytes(2, "big") + value.to_bytes((bits + 7) // 8, "big")


def _armour(title: str, packets: bytes) -> bytes:
    rows = base64.encodebytes(packets).replace(b"\n", b"")
    lines = [rows[i : i + 64] for i in range(0, len(rows), 64)]
    crc = b"=" + base64.b64encode(_crc24(packets))
    frame = title.encode()
    return b"\n".join(
        (b"-----BEGIN PGP %b-----" % frame, b"", *lines, crc, b"-----END PGP %b-----" % frame, b"")
    )


def _crc24(data: bytes) -> bytes:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc.to_bytes(3, "big")
