"""Envelopes against the published vectors of DSSE, and against openssl."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from buildtool.attest import dsse, keys
from buildtool.diag import BuildError

HELLO = "http://example.com/HelloWorld"
PEM = serialization.Encoding.PEM

#: secure-systems-lab/dsse, protocol.md, "Test Vectors": the key's secret number, and r and s.
SECRET = 97358161215184420915383655311931858321456579547487070936769975997791359926199
SIGNATURE = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="

#: Secret and public halves of the keys of RFC 8032, 7.1, tests 1 and 2.
A = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
B = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"


def written(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, folder: Path) -> tuple[str, str]:
    """PEM files of a key: private, public."""
    private, public = folder / "key.pem", folder / "key.pub"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


@pytest.mark.parametrize(
    ("kind", "body", "encoded"),
    [
        (HELLO, b"hello world", b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"),
        ("application/vnd.exämple+json", b"{}", "DSSEv1 29 application/vnd.exämple+json 2 {}".encode()),
        ("", b"", b"DSSEv1 0  0 "),
        ("a", b"\xff\x00 \n", b"DSSEv1 1 a 4 \xff\x00 \n"),
    ],
)
def test_pre_authentication_encoding(kind: str, body: bytes, encoded: bytes) -> None:
    assert dsse.pae(kind, body) == encoded


def test_the_published_envelope(tmp_path: Path) -> None:
    private, public = written(ec.derive_private_key(SECRET, ec.SECP256R1()), tmp_path)
    both = base64.b64decode(SIGNATURE)
    r, s = int.from_bytes(both[:32]), int.from_bytes(both[32:])
    der = base64.b64encode(encode_dss_signature(r, s)).decode()
    document = {"payload": "aGVsbG8gd29ybGQ=", "payloadType": HELLO, "signatures": [{"sig": der}]}
    signed = dsse.opened(json.dumps(document).encode())
    assert (signed.kind, signed.body) == (HELLO, b"hello world")
    assert keys.read_public(public).verifies(signed.signatures[0].data, signed.authenticated)
    # Signing is deterministic (RFC 6979), so we get the published numbers ourselves.
    ours = dsse.opened(dsse.seal(HELLO, b"hello world", keys.read_private(private)))
    assert decode_dss_signature(ours.signatures[0].data) == (r, s)


@pytest.mark.parametrize(
    ("seed", "kind", "payload", "signature"),
    [
        (
            A,
            dsse.IN_TOTO,
            "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==",
            "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==",
        ),
        (
            B,
            dsse.IN_TOTO,
            "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==",
            "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw==",
        ),
        (
            A,
            dsse.IN_TOTO,
            "-_-_Pj8=",
            "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw==",
        ),
        (
            A,
            dsse.IN_TOTO,
            "",
            "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==",
        ),
    ],
    ids=["single", "another-key", "url-safe", "empty"],
)
def test_the_published_ed25519_vectors(
    seed: str, kind: str, payload: str, signature: str, tmp_path: Path
) -> None:
    private, public = written(ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)), tmp_path)
    document = {"payload": payload, "payloadType": kind, "signatures": [{"sig": signature, "keyid": "A"}]}
    signed = dsse.opened(json.dumps(document).encode())
    key = keys.read_public(public)
    assert key.verifies(signed.signatures[0].data, signed.authenticated)
    assert not key.verifies(signed.signatures[0].data, dsse.pae("other/type", signed.body))
    ours = dsse.opened(dsse.seal(kind, signed.body, keys.read_private(private)))
    assert ours.signatures[0].data == signed.signatures[0].data


@pytest.mark.parametrize("kind", keys.KINDS)
def test_openssl_verifies_what_we_sign_with_its_own_key(kind: str, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    how = ["ed25519"] if kind == "ed25519" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]

    def openssl(*arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    openssl("genpkey", "-algorithm", *how, "-out", "key.pem")
    openssl("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub")
    envelope = dsse.seal(dsse.IN_TOTO, b'{"a":1}', keys.read_private(str(tmp_path / "key.pem")))
    signed = dsse.opened(envelope)
    (tmp_path / "sig").write_bytes(signed.signatures[0].data)
    (tmp_path / "pae").write_bytes(b'DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}')
    raw = ["-rawin"] if kind == "ed25519" else ["-rawin", "-digest", "sha256"]
    said = openssl("pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", *raw, "-in", "pae", "-sigfile", "sig")
    assert "Verified Successfully" in said
    assert keys.read_public(str(tmp_path / "key.pub")).id == signed.signatures[0].keyid


@pytest.mark.parametrize("kind", keys.KINDS)
def test_a_new_key_signs(kind: str, tmp_path: Path) -> None:
    private, public = keys.generate(kind)
    (tmp_path / "k.pem").write_bytes(private)
    (tmp_path / "k.pub").write_bytes(public)
    key = keys.read_private(str(tmp_path / "k.pem"))
    assert key.public.id == keys.read_public(str(tmp_path / "k.pub")).id
    assert key.sign(b"x") == key.sign(b"x")
    assert key.public.verifies(key.sign(b"x"), b"x")
    assert not key.public.verifies(b"nonsense", b"x")


def test_keys_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nabc\n-----END")
    with pytest.raises(BuildError, match="not a private key") as caught:
        keys.read_private(str(path))
    assert "cosign's own encryption" in caught.value.hint
    key = ec.generate_private_key(ec.SECP384R1())
    private, public = written(key, tmp_path)
    with pytest.raises(BuildError, match="not a public key"):
        keys.read_public(public)
    with pytest.raises(BuildError, match="not a private key"):
        keys.read_private(private)
    with pytest.raises(BuildError, match="cannot read the key"):
        keys.read_public(str(tmp_path / "none"))
    secret = serialization.BestAvailableEncryption(b"canary")
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, secret
    )
    path.write_bytes(locked)
    with pytest.raises(BuildError) as caught:
        keys.read_private(str(path))
    assert keys.PASSWORD in caught.value.hint
    monkeypatch.setenv(keys.PASSWORD, "canary")
    assert keys.read_private(str(path)).sign(b"x")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"payload":"","payloadType":"x","signatures":[]}',
        b'{"payload":"!","payloadType":"x","signatures":[{"sig":""}]}',
        b'{"payload":"","payloadType":"x","signatures":[{"sig":"abc"}]}',
        b'{"payload":1,"payloadType":"x","signatures":[{"sig":""}]}',
        b"[" * 100_000,
        b" " * (dsse.LARGEST + 1),
    ],
)
def test_what_is_no_envelope(text: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        dsse.opened(text)
    assert caught.value.code == "bad-envelope"
