"""Keys in PEM files: Ed25519 and ECDSA on P-256 with SHA-256, as openssl makes them and cosign takes them."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buildtool.diag import BuildError

#: The kinds of keys by the names of `keygen`.
KINDS = ("ed25519", "ecdsa-p256")

#: Where the password of an encrypted private key is read from.
PASSWORD = "BUILDTOOL_KEY_PASSWORD"
_LARGEST = 64 << 10


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are verified with; `id` is the SHA-256 of its SubjectPublicKeyInfo (RFC 5280)."""

    id: str
    verifies: Callable[[bytes, bytes], bool]

    def __repr__(self) -> str:
        return f"PublicKey({self.id})"


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs; the same message always gets the same signature (RFC 8032, RFC 6979)."""

    sign: Callable[[bytes], bytes]
    public: PublicKey

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.id})"


def read_public(path: str) -> PublicKey:
    """The public key of a PEM file; BuildError `bad-key`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        return _public(serialization.load_pem_public_key(_read(path)))
    except (ValueError, UnsupportedAlgorithm) as exc:
        hint = "a public key begins with -----BEGIN PUBLIC KEY-----"
        raise BuildError("bad-key", f"{path} is not a public key in PEM form", hint=hint) from exc


def read_private(path: str) -> PrivateKey:
    """The private key of a PEM file (PKCS #8); BuildError `bad-key`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    data = _read(path)
    password = os.environ.get(PASSWORD, "").encode() if b"ENCRYPTED" in data else None
    try:
        return _private(serialization.load_pem_private_key(data, password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        hint = "buildtool keygen makes one; so does openssl genpkey -algorithm ed25519"
        if password is not None:
            hint = f"it is encrypted: {PASSWORD} gives its password"
        if b"SIGSTORE" in data or b"COSIGN" in data:
            hint = "cosign's own encryption of keys is not known here: " + hint
        raise BuildError("bad-key", f"{path} is not a private key in PEM form", hint=hint) from exc


def generate(kind: str) -> tuple[bytes, bytes]:
    """A new key as PEM: private (PKCS #8) and public."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    key: Any = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


def _private(key: Any) -> PrivateKey:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    public = _public(key.public_key())
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey(key.sign, public)
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return PrivateKey(lambda data: bytes(key.sign(data, algorithm)), public)


def _public(key: Any) -> PublicKey:
    """ValueError for kinds of keys that are not known here."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def verifies(signature: bytes, data: bytes) -> bool:
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
            else:
                key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    on_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    if not on_p256 and not isinstance(key, ed25519.Ed25519PublicKey):
        raise ValueError("keys are Ed25519, or ECDSA on P-256")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(hashlib.sha256(der).hexdigest(), verifies)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST)
    except OSError as exc:
        raise BuildError("bad-key", f"cannot read the key {path}: {exc.strerror}") from exc
