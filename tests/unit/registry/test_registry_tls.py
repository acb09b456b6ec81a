"""Certificates and proxies: whom the client believes, and through whom it goes."""

import base64
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from buildtool.diag import BuildError
from buildtool.oci.model import MANIFEST
from buildtool.registry.client import open_registries
from buildtool.registry.credentials import Credential
from buildtool.registry.reference import parse_reference
from tests.support.scripted_registry import Answer, Registry, Seen, serving

CONFIG = b'{"mediaType":"x","digest":"sha256:%s","size":1}' % (b"0" * 64)
IMAGE = b'{"schemaVersion":2,"config":%s,"layers":[]}' % CONFIG


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "both.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def registry(certificate: Path) -> Iterator[Registry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(tls=context) as found:
        found.manifests["app", "1"] = (MANIFEST, IMAGE)
        yield found


def fetch(registry: Registry, environ: dict[str, str], tls_verify: bool | None = None) -> bytes:
    registries = open_registries(None, environ, tls_verify=tls_verify, tries=1)
    return registries.document(parse_reference(f"{registry.address}/app:1")).data


def test_an_unknown_certificate_is_not_believed(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        fetch(registry, {}, tls_verify=True)
    assert "no trust in the certificate" in caught.value.message
    assert registry.seen == []
    # A registry of this machine may have any, and so may one that is called insecure.
    assert fetch(registry, {}) == IMAGE
    assert fetch(registry, {}, tls_verify=False) == IMAGE


def test_authorities_of_one_registry(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / ".config/containers/certs.d" / registry.address
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes((tmp_path / "ca.crt").read_bytes())
    assert fetch(registry, {"HOME": str(tmp_path)}, tls_verify=True) == IMAGE
    (folder / "ca.crt").write_text("no certificate")
    with pytest.raises(BuildError) as caught:
        fetch(registry, {"HOME": str(tmp_path)}, tls_verify=True)
    assert caught.value.code == "bad-certificate"


def test_authorities_of_the_environment(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    assert fetch(registry, {}, tls_verify=True) == IMAGE


def test_a_login_does_not_go_in_the_clear(certificate: Path) -> None:
    """A registry that has to speak TLS and does not is given nothing."""
    with serving() as plain:
        fixed = {plain.address: Credential("me", "canary")}
        registries = open_registries(None, {}, fixed=fixed, tls_verify=True, tries=1)
        with pytest.raises(BuildError):
            registries.document(parse_reference(f"{plain.address}/app:1"))
    assert plain.seen == []


def test_a_proxy_and_its_login() -> None:
    with serving() as registry, serving() as proxy:
        registry.manifests["app", "1"] = (MANIFEST, IMAGE)

        def script(seen: Seen) -> Answer:
            assert seen.path.startswith(f"http://{registry.address}/")
            seen.path = seen.path.removeprefix(f"http://{registry.address}")
            return registry.answer(seen)

        proxy.script = script
        # Under a proxy it is not tried whether a registry speaks TLS: it is asked for plainly here.
        environ = {"http_proxy": f"http://user:word@{proxy.address}"}
        assert fetch(registry, environ) == IMAGE
    login = base64.b64encode(b"user:word").decode()
    assert [s.headers["proxy-authorization"] for s in proxy.seen] == [f"Basic {login}"] * len(proxy.seen)
    assert proxy.seen
