"""An agent for keys that lie in files, as OpenSSH's own programs see it."""

import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

from buildtool.diag import BuildError
from buildtool.sandbox.keys import LARGEST_KEY, Key, read_key, serving

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="openssh-client is not installed")

KINDS = {
    "ed25519": ("-t", "ed25519"),
    "rsa": ("-t", "rsa", "-b", "2048"),
    "rsa in PEM": ("-t", "rsa", "-b", "2048", "-m", "PEM"),
    "ecdsa 256": ("-t", "ecdsa", "-b", "256"),
    "ecdsa 384 in PKCS8": ("-t", "ecdsa", "-b", "384", "-m", "PKCS8"),
    "ecdsa 521": ("-t", "ecdsa", "-b", "521"),
}


def made(path: Path, *arguments: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", *arguments, "-N", passphrase, "-C", "", "-f", path]
    subprocess.run(command, check=True, capture_output=True)
    return path


def ask(agent: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(agent)
        client.sendall(struct.pack(">I", len(request)) + request)
        (length,) = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))
        return client.recv(length, socket.MSG_WAITALL)


@pytest.mark.parametrize("kind", KINDS)
def test_openssh_accepts_what_it_signs(kind: str, tmp_path: Path) -> None:
    path = made(tmp_path / "key", *KINDS[kind])
    with serving([read_key(str(path))]) as agent:
        path.rename(tmp_path / "hidden")
        environment = {**os.environ, "SSH_AUTH_SOCK": agent}
        listed = subprocess.run(
            ["ssh-add", "-L"], env=environment, capture_output=True, text=True, check=True
        )
        assert listed.stdout.split() == (tmp_path / "key.pub").read_text().split()
        (tmp_path / "data").write_text("text")
        for _ in range(3):
            sign = [
                "ssh-keygen",
                "-Y",
                "sign",
                "-U",
                "-n",
                "file",
                "-f",
                f"{path}.pub",
                str(tmp_path / "data"),
            ]
            subprocess.run(sign, env=environment, check=True, capture_output=True, input=b"")
            check = ["ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", str(tmp_path / "data.sig")]
            subprocess.run(check, input=b"text", check=True, capture_output=True)
            (tmp_path / "data.sig").unlink()


def test_what_it_does_not_do(tmp_path: Path) -> None:
    key = read_key(str(made(tmp_path / "key", "-t", "rsa", "-b", "2048")))
    assert "private" not in repr(key)
    public = struct.pack(">I", len(key.public)) + key.public
    other = struct.pack(">I", 3) + b"abc"
    with serving([key]) as agent:
        folder = os.stat(os.path.dirname(agent))
        assert folder.st_mode & 0o777 == 0o700
        # SHA-1, a key that it has not, requests that are cut off, and all other kinds.
        requests = [
            public + other + bytes(4),
            other + other + bytes(4),
            public,
            public + other,
            b"\0\0\1\0",
            b"",
        ]
        for request in requests:
            assert ask(agent, b"\x0d" + request) == b"\x05"
        for kind in (1, 17, 18, 19, 22, 23, 25, 27):
            assert ask(agent, bytes([kind]) + other) == b"\x05"
    assert not os.path.exists(agent)


def test_several_keys_in_their_order(tmp_path: Path) -> None:
    keys: list[Key] = [read_key(str(made(tmp_path / name, "-t", "ed25519"))) for name in "ab"]
    with serving(keys) as agent:
        answer = ask(agent, b"\x0b")
    assert answer[:5] == b"\x0c\0\0\0\2"
    assert answer.index(keys[0].public) < answer.index(keys[1].public)


@pytest.mark.parametrize("what", ["passphrase", "nothing", "public", "dsa curve", "huge", "missing"])
def test_what_is_no_key(what: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if what == "passphrase":
        made(path, "-t", "ed25519", passphrase="secret")
    elif what == "public":
        path = made(path, "-t", "ed25519").with_suffix(".pub")
    elif what == "dsa curve":
        key = ec.generate_private_key(ec.SECP256K1())
        path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    elif what != "missing":
        path.write_bytes(b"x" * (LARGEST_KEY + 1) if what == "huge" else b"")
    with pytest.raises(BuildError) as caught:
        read_key(str(path))
    assert caught.value.code == "bad-key"
    assert ("ssh-add" in caught.value.hint) == (what == "passphrase")
