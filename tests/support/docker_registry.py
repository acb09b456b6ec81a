"""Debian's docker-registry on loopback, plain or with logins, and a server of tokens for it."""

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "canary-user", "canary-pass-71c3"
#: What `htpasswd -B` makes of them.
_HTPASSWD = "canary-user:$2y$05$Ti2JhAd3SfimcqhE5yuXX.2ZqK930jMm8hX7/ZItGTq0OuZ3mEfvC"


@dataclass
class Tokens:
    """A server of tokens: who asked for what, and how long its tokens hold."""

    address: str = ""
    expires: int = 300
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@contextmanager
def docker_registry(folder: Path, *, auth: str = "", tokens: Tokens | None = None) -> Iterator[str]:
    """The address of a registry that keeps its data in a folder; `auth` is empty, `basic` or `token`."""
    folder.mkdir(exist_ok=True)
    rows = [
        "version: 0.1",
        "log: {level: info, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}",
        "http: {addr: '127.0.0.1:0', secret: tests}",
    ]
    if auth == "basic":
        (folder / "htpasswd").write_text(_HTPASSWD + "\n")
        rows.append(f"auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}")
    elif auth == "token":
        assert tokens is not None
        rows.append(
            f"auth: {{token: {{realm: 'http://{tokens.address}/token', service: tests, issuer: tests,"
            f" rootcertbundle: {folder}/cert.pem}}}}"
        )
    (folder / "config.yml").write_text("\n".join(rows) + "\n")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ("docker-registry", "serve", str(folder / "config.yml")), stdout=log, stderr=log
        )
    try:
        yield _address(process, folder / "log")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def token_server(folder: Path) -> Iterator[Tokens]:
    """A server of tokens whose certificate is `folder/cert.pem`; it gives all that is asked to USER."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    der = certificate.public_bytes(serialization.Encoding.DER)
    tokens = Tokens()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            login = self.headers.get("Authorization", "")
            tokens.asked.append(query)
            tokens.logins.append(login)
            right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if login not in ("", right):
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            actions = {"pull", "push", "delete"} if login else {"pull"}
            token = _token(key, der, query.get("scope", []), actions, tokens.expires)
            body = json.dumps({"token": token, "expires_in": tokens.expires}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tokens.address = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield tokens
    finally:
        server.shutdown()
        server.server_close()


def _token(key: Any, certificate: bytes, scopes: list[str], actions: set[str], expires: int) -> str:
    """A token as distribution's "Token Authentication Implementation" describes it."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    access = []
    for scope in scopes:
        resource, _, wanted = scope.rpartition(":")
        kind, _, name = resource.partition(":")
        given = [a for a in wanted.split(",") if a in actions]
        access.append({"type": kind, "name": name, "actions": given})
    now = int(time.time())
    head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
    claims = {
        "iss": "tests", "sub": "", "aud": "tests", "exp": now + expires, "nbf": now - 60, "iat": now,
        "jti": str(time.time_ns()), "access": access,
    }  # fmt: skip
    text = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where the registry listens: the kernel chose the port, which no other test can have taken then."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"docker-registry does not come up: {log.read_text()}")
