"""An SSH agent of our own, for keys that lie in files: it lives as long as a build and signs, no more.

It answers the two requests that a step may make (draft-ietf-sshm-ssh-agent); a key is
in this process's memory only, and what reaches a step is a signature.
"""

import base64
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildtool.diag import BuildError
from buildtool.sandbox.agent import FAILURE, LENGTH, REQUEST_IDENTITIES, SIGN_REQUEST, message, reachable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: Bytes of the largest key file; an RSA key of 16,384 bits has 13,000.
LARGEST_KEY = 64 << 10

_IDENTITIES_ANSWER, _SIGN_RESPONSE = b"\x0c", b"\x0e"
#: The flag of a request that asks for a hash, and the algorithm that says so (RFC 8332).
_RSA_HASHES = {2: (b"rsa-sha2-256", "SHA256"), 4: (b"rsa-sha2-512", "SHA512")}
_CURVE_HASHES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}


@dataclass(frozen=True, slots=True)
class Key:
    """A private key; `public` is how the protocol names it."""

    public: bytes
    private: "Ed25519PrivateKey | RSAPrivateKey | EllipticCurvePrivateKey" = field(repr=False)

    def sign(self, data: bytes, flags: int) -> bytes | None:
        """The signature as the protocol has it; None for one that is not made, as with SHA-1."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

        if isinstance(self.private, rsa.RSAPrivateKey):
            found = next((_RSA_HASHES[flag] for flag in (4, 2) if flags & flag), None)
            if found is None:
                return None
            name, kind = found
            return _string(name) + _string(
                self.private.sign(data, padding.PKCS1v15(), getattr(hashes, kind)())
            )
        name = self.public[LENGTH.size :][: LENGTH.unpack_from(self.public)[0]]
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            kind = _CURVE_HASHES[self.private.curve.name]
            pair = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(getattr(hashes, kind)())))
            return _string(name) + _string(b"".join(map(_number, pair)))
        return _string(name) + _string(self.private.sign(data))


def read_key(path: str) -> Key:
    """The key in a file, OpenSSH's or PEM; BuildError `bad-key` for what is none, or has a passphrase."""
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_KEY + 1)
    except OSError as error:
        raise BuildError("bad-key", f"cannot read the key {path}: {error.strerror}") from None
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        load = form.load_ssh_private_key if b"BEGIN OPENSSH PRIVATE" in text else form.load_pem_private_key
        private = load(text, None) if len(text) <= LARGEST_KEY else None
    except TypeError:
        hint = f"an agent asks for it: ssh-add {path}, and then --ssh default"
        raise BuildError("bad-key", f"the key {path} has a passphrase", hint=hint) from None
    except (ValueError, UnsupportedAlgorithm):
        private = None
    kinds = (ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)
    known = isinstance(private, kinds)
    if known and isinstance(private, ec.EllipticCurvePrivateKey):
        known = private.curve.name in _CURVE_HASHES
    if not known or not isinstance(private, kinds):
        hint = "Ed25519, RSA and ECDSA keys are known, in the files that ssh-keygen makes, and PEM"
        raise BuildError("bad-key", f"{path} is not a private key of SSH", hint=hint)
    written = private.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return Key(base64.b64decode(written.split()[1]), private)


@contextmanager
def serving(keys: Sequence[Key]) -> Iterator[str]:
    """The path of a socket, in a folder that only this account can enter, that signs with the keys."""
    with tempfile.TemporaryDirectory(prefix="buildtool-ssh-") as folder:
        path = os.path.join(folder, "agent")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            with reachable(path) as name:
                listener.bind(name)
            listener.listen()
            threading.Thread(target=_accept, args=(listener, keys), daemon=True).start()
            try:
                yield path
            finally:
                # Closing alone would leave the thread waiting in accept(2).
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, keys: Sequence[Key]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, keys), daemon=True).start()


def _serve(client: socket.socket, keys: Sequence[Key]) -> None:
    """Answer the requests of one connection, which whatever goes wrong ends."""
    with client:
        try:
            while (request := message(client)) is not None:
                client.sendall(_answer(request, keys))
        except OSError:
            return


def _answer(request: bytes, keys: Sequence[Key]) -> bytes:
    if request[0] == REQUEST_IDENTITIES:
        listed = b"".join(_string(key.public) + _string(b"") for key in keys)
        return _string(_IDENTITIES_ANSWER + LENGTH.pack(len(keys)) + listed)
    if request[0] != SIGN_REQUEST:
        return FAILURE
    try:
        public, rest = _split(request[1:])
        data, rest = _split(rest)
        (flags,) = LENGTH.unpack(rest)
    except struct.error:
        return FAILURE
    key = next((key for key in keys if key.public == public), None)
    signature = None if key is None else key.sign(data, flags)
    return FAILURE if signature is None else _string(_SIGN_RESPONSE + _string(signature))


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The string at the beginning, and the rest; struct.error where it is cut off."""
    (length,) = LENGTH.unpack_from(data)
    rest = data[LENGTH.size :]
    if len(rest) < length:
        raise struct.error("cut off")
    return rest[:length], rest[length:]


def _string(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def _number(value: int) -> bytes:
    """A positive number as the protocol's mpint: its first bit is never set."""
    return _string(value.to_bytes(value.bit_length() // 8 + 1, "big"))
