"""Statements by the command line: signed after a rebuild, accepted by others, refused when tampered with."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from buildtool.attest import dsse
from buildtool.attest.keys import read_private
from buildtool.attest.statement import rebuilt
from buildtool.digest import sha256

#: Keys whose names in the golden are always the same.
NAMES = ("alpha", "beta", "old", "stranger")
KEYS = """[keys.alpha]
file = "alpha.pub"
[keys.beta]
file = "beta.pub"
[keys.old]
file = "old.pub"
expires = 2020-02-02
"""


def buildtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "buildtool", *arguments]
    env = {**os.environ, "BUILDTOOL_STORE": str(folder / "store")}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources, keys, an image in a layout, and the statements of two rebuilders, one beside the image."""
    folder = tmp_path_factory.mktemp("attest")
    for number, name in enumerate(NAMES):
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(private)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / f"{name}.pub").write_bytes(public)
    (folder / "keys.toml").write_text(KEYS)
    (folder / "src").mkdir()
    (folder / "src" / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (folder / "src" / "file").write_text("content\n")
    options = ("--platform", "linux/amd64", "--provenance", "-o", "type=oci,dest=out,tar=false")
    built = buildtool(folder, "build", "-q", *options, "src")
    assert built.returncode == 0, built.stderr
    (folder / "digest").write_text(built.stdout.strip())
    one = buildtool(
        folder, "attest", "--key", "alpha.pem", "--platform", "linux/amd64", "-o", "a.json", "src"
    )
    assert one.returncode == 0, one.stderr
    two = buildtool(
        folder, "attest", "--key", "beta.pem", "oci:out", "--source", "src", "--attach", "oci:out"
    )
    assert two.returncode == 0, two.stderr
    return folder


def judged(
    folder: Path, image: str, *statements: str, threshold: int = 2
) -> subprocess.CompletedProcess[str]:
    options = [word for place in statements for word in ("--statements", place)]
    return buildtool(folder, "verify", *options, "--keys", "keys.toml", "--threshold", str(threshold), image)


def test_two_rebuilders_agree(world: Path) -> None:
    done = judged(world, "oci:out", "a.json", "oci:out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "oci:out is accepted" in done.stdout
    bare = judged(world, "app@" + (world / "digest").read_text(), "a.json", "out")
    assert bare.returncode == 0, bare.stdout + bare.stderr
    statement = json.loads(base64.b64decode(json.loads((world / "a.json").read_text())["payload"]))
    assert statement["subject"][0]["digest"]["sha256"] == (world / "digest").read_text().removeprefix(
        "sha256:"
    )
    assert os.uname().nodename not in json.dumps(statement)
    assert b"is valid" in buildtool(world, "validate", "oci:out").stdout.encode()


def test_a_statement_is_signed_only_for_what_was_rebuilt(world: Path) -> None:
    other = world / "other"
    shutil.copytree(world / "src", other, dirs_exist_ok=True)
    (other / "file").write_text("something else\n")
    done = buildtool(
        world, "attest", "--key", "alpha.pem", "oci:out", "--source", "other", "-o", "wrong.json"
    )
    assert done.returncode == 1
    assert "is not what its provenance says" in done.stderr
    assert "because    files file: " in done.stderr
    assert not (world / "wrong.json").exists()


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def changed(envelope: dict[str, Any], member: str) -> dict[str, Any]:
    """An envelope with a bit of its statement or of its signature turned over."""
    copy = json.loads(json.dumps(envelope))
    holder = copy if member == "payload" else copy["signatures"][0]
    holder[member] = base64.b64encode(flipped(base64.b64decode(holder[member]))).decode()
    return copy  # type: ignore[no-any-return]


def test_whatever_is_tampered_with_is_refused_with_its_reason(
    world: Path, tmp_path: Path, golden: Callable[[str, str | bytes], None]
) -> None:
    good = json.loads((world / "a.json").read_text())
    digest = (world / "digest").read_text()
    kinds = {"unknown": "stranger", "expired": "old"}
    for name, key in kinds.items():
        envelope = dsse.seal(dsse.IN_TOTO, rebuilt(digest, {}), read_private(str(world / f"{key}.pem")))  # type: ignore[arg-type]
        (world / f"{name}.json").write_bytes(envelope)
    other = dsse.seal(dsse.IN_TOTO, rebuilt(sha256(b"other"), {}), read_private(str(world / "alpha.pem")))
    (world / "other-digest.json").write_bytes(other)
    (world / "statement.json").write_text(json.dumps(changed(good, "payload")))
    (world / "signature.json").write_text(json.dumps(changed(good, "sig")))
    manifest = json.loads((world / "out/blobs/sha256" / digest[7:]).read_text())
    blobs = {
        "layer": manifest["layers"][0]["digest"],
        "config": manifest["config"]["digest"],
        "manifest": digest,
    }
    told = []
    for name, blob in blobs.items():
        shutil.copytree(world / "out", world / name, dirs_exist_ok=True)
        path = world / name / "blobs" / "sha256" / blob[7:]
        path.write_bytes(flipped(path.read_bytes()))
        told.append(judged(world, f"oci:{name}", "a.json", "oci:out"))
    names = ("statement", "signature", "other-digest", "unknown", "expired")
    told += [judged(world, "oci:out", f"{name}.json", "oci:out") for name in names]
    told.append(judged(world, "oci:out", "a.json", "a.json"))
    told.append(judged(world, "oci:out", "a.json"))
    assert [done.returncode for done in told] == [1] * len(told)
    assert all(" is refused\n" in done.stdout for done in told)
    # The statement beside the image tells of this machine, so its digest is of this machine too.
    shown = re.sub("out@sha256:[0-9a-f]{12}", "out@STATEMENT", "\n".join(done.stdout for done in told))
    golden("attest/tampered.txt", shown)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--statements", "a.json", "oci:out"), "--statements needs --keys FILE"),
        (("--statements", "a.json", "--keys", "keys.toml", "--threshold", "4", "oci:out"), "asks for more"),
        (("--statements", "none.json", "--keys", "keys.toml", "oci:out"), "cannot read none.json"),
        (("--statements", "a.json", "--keys", "none.toml", "oci:out"), "cannot read none.toml"),
        (("--statements", "a.json", "--keys", "keys.toml", "oci:nowhere"), "there is no image layout"),
        (("--statements", "a.json", "--keys", "keys.toml"), "--statements are about one IMAGE"),
        (("--source", "src", "src"), "--source and --provenance are for an image"),
    ],
)
def test_wrong_input_has_status_2(arguments: tuple[str, ...], said: str, world: Path) -> None:
    done = buildtool(world, "verify", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr


def test_a_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    for kind in ("ed25519", "ecdsa-p256"):
        assert buildtool(tmp_path, "keygen", "--kind", kind, kind).returncode == 0
        assert (tmp_path / f"{kind}.pem").stat().st_mode & 0o777 == 0o600
        assert read_private(str(tmp_path / f"{kind}.pem"))
        again = buildtool(tmp_path, "keygen", kind)
        assert again.returncode == 2
        assert "is there already" in again.stderr
