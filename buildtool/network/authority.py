"""The certificate authority of a user, which only steps of that user trust.

Its key never leaves `authority.pem` in a folder of the user, readable by nobody else; it is
made when it is first needed.  Certificates hold from 1970 to 9999 (RFC 5280, 4.1.2.5: "no
well-defined expiration"), since the clock of a step may stand anywhere.
"""

import os
import secrets
import ssl
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from buildtool.diag import BuildError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

#: The same for every user: a step cannot tell whose authority it trusts but by the key.
COMMON_NAME = "buildtool recorded internet"
_FILE = "authority.pem"
_BEGIN, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Authority:
    """A key and its own certificate."""

    key: "rsa.RSAPrivateKey"
    certificate: "x509.Certificate"

    @property
    def pem(self) -> bytes:
        """The certificate as clients read it."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate as it is inside of other things."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.DER)


def authority(folder: str) -> Authority:
    """The authority in a folder, made there if there is none.

    Any number of processes may ask at once: they get the same one.  BuildError
    `authority-unusable` if it cannot be made or read, or if others could read it.
    """
    path = os.path.join(folder, _FILE)
    try:
        if not os.path.exists(path):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            _place(path, _made())
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            exposed = stat.S_IMODE(os.fstat(fd).st_mode) & 0o077
            text = file.read(_LARGEST)
        if exposed:
            raise _unusable(path, "others than its owner may read it")
        return _parsed(text)
    except OSError as e:
        raise _unusable(path, e.strerror or str(e)) from e
    except ValueError as e:
        raise _unusable(path, "it holds no key and certificate") from e


def _unusable(path: str, why: str) -> BuildError:
    return BuildError(
        "authority-unusable",
        f"the certificate authority of network steps, {path}, cannot be used: {why}",
        hint="remove the file: a new one is made when it is needed",
        exit_status=1,
    )


def _place(path: str, text: bytes) -> None:
    """Make the file whole at once, unless another process was faster."""
    draft = f"{path}.{secrets.token_hex(8)}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            os.fsync(fd)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def _made() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    # RSA, since every client knows it, and since its signatures are all of one length.
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, COMMON_NAME)])
    others = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " encipher_only decipher_only"
    )
    usage = dict.fromkeys(others.split(), False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 << 158 | secrets.randbits(158))
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _parsed(text: bytes) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(text, None)
    certificate = x509.load_pem_x509_certificate(text)
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("not a pair")
    return Authority(key, certificate)


class HostContext(ssl.SSLContext):
    """What a server named `host` speaks TLS with."""

    host: str


class Certificates:
    """TLS for every host, by certificates that are made when they are asked for and kept in memory."""

    def __init__(self, authority: Authority) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, HostContext] = {}
        self._lock = threading.Lock()

    def context(self, host: str) -> HostContext:
        """What a server of this name or address speaks TLS with; a client that names another gets its own."""
        with self._lock:
            found = self._contexts.get(host)
            if found is None:
                found = self._contexts[host] = self._made(host)
        return found

    def _choose(self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name:
            tls.context = self.context(name.lower())

    def _made(self, host: str) -> HostContext:
        context = HostContext(ssl.PROTOCOL_TLS_SERVER)
        context.host = host
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._choose
        # The library reads files alone; these bytes are nowhere but in memory.
        fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb", buffering=0) as file:
            file.write(self._pair(host))
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        return context

    def _pair(self, host: str) -> bytes:
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        issuer = self._authority
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64] or "-")]))
            .issuer_name(issuer.certificate.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(identifier, critical=False)
            .sign(issuer.key, hashes.SHA256())
        )
        private = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return private + certificate.public_bytes(serialization.Encoding.PEM)
