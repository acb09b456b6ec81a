"""The certificate authority of a user."""

import os
import shutil
import ssl
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.network.authority import Certificates, authority


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "deep"
    old = os.umask(0)
    try:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: authority(str(folder)).der, range(4)))
    finally:
        os.umask(old)
    assert len(set(made)) == 1
    assert os.listdir(folder) == ["authority.pem"]
    assert stat.S_IMODE((folder / "authority.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["exposed", "empty", "foreign", "link", "folder"])
def test_one_that_cannot_be_trusted_is_an_error(tmp_path: Path, authorities: None, damage: str) -> None:
    path = tmp_path / "authority" / "authority.pem"
    if damage == "exposed":
        path.chmod(0o640)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        other = (tmp_path / "outside" / "authority.pem").read_text()
        path.write_text(
            path.read_text().partition("-----BEGIN CERT")[0] + other[other.index("-----BEGIN CERT") :]
        )
    else:
        path.unlink()
        if damage == "link":
            path.symlink_to(tmp_path / "outside" / "authority.pem")
        else:
            path.mkdir()
    with pytest.raises(BuildError) as caught:
        authority(str(path.parent))
    assert caught.value.code == "authority-unusable"
    assert str(path) in caught.value.message


def test_certificates_are_all_of_one_length_but_for_the_key(tmp_path: Path, authorities: None) -> None:
    # A bundle of one user has the size that it has for another.
    pems = [authority(str(tmp_path / name)).pem for name in ("authority", "outside")]
    assert len(pems[0]) == len(pems[1])
    assert pems[0] != pems[1]


@pytest.mark.parametrize(
    "host", ["example.org", "203.0.113.1", "2001:db8::1", "x" * 60 + ".example", "a_b.c"]
)
@pytest.mark.parametrize("when", ["1971-01-01", "2038-02-01", "9999-01-01"])
def test_openssl_and_gnutls_accept_a_host(tmp_path: Path, authorities: None, host: str, when: str) -> None:
    own = authority(str(tmp_path / "authority"))
    (tmp_path / "ca.pem").write_bytes(own.pem)
    (tmp_path / "leaf.pem").write_bytes(Certificates(own)._pair(host))
    instant = subprocess.run(["date", "-u", "-d", when, "+%s"], capture_output=True, text=True, check=True)
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    kind = "-verify_ip" if host[0].isdigit() else "-verify_hostname"
    argv = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", instant.stdout.strip()]
    argv += [kind, host, "-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_python_accepts_a_host(tmp_path: Path, authorities: None) -> None:
    import socket
    import threading

    own = authority(str(tmp_path / "authority"))
    certificates = Certificates(own)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(
        target=lambda: certificates.context("other.example").wrap_socket(theirs, server_side=True)
    )
    thread.start()
    context = ssl.create_default_context(cadata=own.pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(ours, server_hostname="Example.ORG") as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        subject = dict(pair for (pair,) in client.getpeercert()["subject"])  # type: ignore[index,union-attr,misc]
        assert subject["commonName"] == "example.org"
    thread.join()
    theirs.close()
