"""What a step needs to trust us, and that its layer shows none of it."""

import base64
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.layers.changes import changes
from buildtool.layers.tree import Stack
from buildtool.network import keystore
from buildtool.network.authority import authority
from buildtool.network.mark import HASH, Trust
from buildtool.network.trust import inject, remove

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
LOCAL = "usr/local/share/ca-certificates/buildtool-recorded-internet.crt"
OTHER = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


class World:
    """A base with a bundle, the layer of trust over it, and an upper folder to write to."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.base = folder / "base"
        self.upper = folder / "upper"
        self.trusting = folder / "trusting"
        for each in (self.base, self.upper, self.trusting):
            each.mkdir()
        for path, content in files.items():
            self.write(self.base, path, content)
            os.utime(self.base / path, (1_000, 1_000))
        self.stack = Stack([str(self.base)])
        self.trust: Trust = inject(str(folder / "authority"), self.stack, str(self.trusting))
        self.pem = authority(str(folder / "authority")).pem
        self.der = authority(str(folder / "authority")).der

    def write(self, root: Path, path: str, content: bytes) -> Path:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        return root / path

    def copy_up(self, path: str) -> Path:
        """What overlayfs does before a file is changed."""
        target = self.upper / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.trusting / path, target)
        for parent in Path(path).parents:
            if (self.trusting / parent).exists():
                shutil.copystat(self.trusting / parent, self.upper / parent)
        return target

    def finished(self) -> dict[str, bytes | None]:
        """The layer's files, None for whiteouts, after our traces were removed."""
        remove(self.trust, str(self.upper), self.stack, "trusted")
        found: dict[str, bytes | None] = {}
        for entry, _ in changes(str(self.upper), self.stack):
            if not stat.S_ISDIR((self.upper / os.fsdecode(entry.path)).lstat().st_mode):
                found[os.fsdecode(entry.path)] = (self.upper / os.fsdecode(entry.path)).read_bytes()
        return found


pytestmark = pytest.mark.usefixtures("authorities")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, {BUNDLE: OTHER, "etc/passwd": b"root:x:0:0::/root:/bin/sh\n"})


def test_the_base_and_its_bundle_are_extended(world: World) -> None:
    assert (world.trusting / BUNDLE).read_bytes() == OTHER + world.pem
    assert (world.trusting / LOCAL).read_bytes() == world.pem
    assert os.readlink(world.trusting / "etc/ssl/certs" / os.fsdecode(HASH)).endswith(".pem")
    assert (world.trusting / BUNDLE).stat().st_mtime == 1_000
    assert sorted(p.name for p in world.trusting.iterdir()) == ["etc", "usr"]
    assert dict(world.trust.env)["SSL_CERT_FILE"] == world.trust.target


def test_the_hash_is_that_of_openssl(world: World, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    (tmp_path / "c.pem").write_bytes(world.pem)
    argv = ["openssl", "x509", "-noout", "-hash", "-in", str(tmp_path / "c.pem")]
    assert subprocess.run(argv, capture_output=True, check=True).stdout.strip() + b".0" == HASH


def test_a_step_that_changes_nothing_has_no_changes(world: World) -> None:
    world.copy_up(BUNDLE)
    world.copy_up(LOCAL)
    assert world.finished() == {}


def test_links_in_the_path_of_a_bundle(tmp_path: Path) -> None:
    found = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"

    class Fedora(World):
        def write(self, root: Path, path: str, content: bytes) -> Path:
            if root == self.base:
                (root / "etc/pki/tls/certs").mkdir(parents=True, exist_ok=True)
                (root / "etc/pki/ca-trust/source/anchors").mkdir(parents=True, exist_ok=True)
                os.symlink("/" + found, root / "etc/pki/tls/certs/ca-bundle.crt")
            return super().write(root, path, content)

    world = Fedora(tmp_path, {found: OTHER.rstrip()})
    assert (world.trusting / found).read_bytes() == OTHER + world.pem
    assert not os.path.lexists(world.trusting / "etc/pki/tls/certs/ca-bundle.crt")
    assert (world.trusting / "etc/pki/ca-trust/source/anchors/buildtool-recorded-internet.pem").exists()
    # The base's bundle has no newline at its end; all the same nothing has changed.
    world.copy_up(found)
    assert world.finished() == {}


def test_what_update_ca_certificates_writes(world: World) -> None:
    certs = world.upper / "etc/ssl/certs"
    world.write(world.upper, BUNDLE, OTHER + OTHER + world.pem + OTHER)
    os.symlink("/" + LOCAL, certs / "buildtool-recorded-internet.pem")
    os.symlink("buildtool-recorded-internet.pem", certs / os.fsdecode(HASH))
    os.symlink("/usr/share/x.crt", certs / "x.pem")
    remove(world.trust, str(world.upper), world.stack, "trusted")
    assert sorted(os.listdir(certs)) == ["ca-certificates.crt", "x.pem"]
    assert (world.upper / BUNDLE).read_bytes() == OTHER * 3


def test_copies_anywhere_are_mended_and_keep_their_times(world: World) -> None:
    path = world.write(world.upper, "app/deep/all.pem", OTHER + world.pem)
    os.utime(path, ns=(5, 123_456_789))
    os.link(path, world.upper / "app/second.pem")
    assert world.finished() == {"app/deep/all.pem": OTHER, "app/second.pem": OTHER}
    assert path.stat().st_mtime_ns == 123_456_789


def test_logs_do_not_name_our_file(world: World) -> None:
    rows = [b"Adding debian:other.pem\n", b"Adding debian:buildtool-recorded-internet.pem\n", b"done.\n"]
    world.write(world.upper, "var/log/apt/term.log", b"".join(rows))
    assert world.finished() == {"var/log/apt/term.log": rows[0] + rows[2]}


@pytest.mark.root
def test_a_step_that_removes_our_files_removes_nothing(world: World) -> None:
    folder = world.upper / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True)
    os.mknod(folder / os.path.basename(LOCAL), stat.S_IFCHR, 0)
    assert world.finished() == {}
    assert os.listdir(world.upper) == []


def test_the_folder_of_local_certificates_comes_with_its_tool(world: World) -> None:
    (world.upper / "usr/local/share/ca-certificates").mkdir(parents=True)
    world.write(world.upper, "usr/sbin/update-ca-certificates", b"#!/bin/sh\n")
    assert world.finished() == {"usr/sbin/update-ca-certificates": b"#!/bin/sh\n"}
    assert os.listdir(world.upper / "usr/local/share") == ["ca-certificates"]


@pytest.mark.parametrize(
    "encode",
    [
        lambda pem, der: der,
        lambda pem, der: b"x" + der + b"y",
        lambda pem, der: base64.b64encode(der),
        lambda pem, der: base64.encodebytes(der),
        lambda pem, der: pem.replace(b"\n", b"\\n"),
        lambda pem, der: pem.replace(b"\n", b"\r\n"),
        lambda pem, der: b"".join(b"    " + row + b"\n" for row in pem.splitlines()),
    ],
)
def test_a_trace_that_stays_is_an_error(world: World, encode: Callable[[bytes, bytes], bytes]) -> None:
    world.write(world.upper, "opt/own/file.bin", encode(world.pem, world.der))
    with pytest.raises(BuildError, match=r"/opt/own/file\.bin") as caught:
        world.finished()
    assert caught.value.code == "certificate-in-layer"


def test_a_keystore_of_java(tmp_path: Path) -> None:
    if shutil.which("keytool") is None:
        pytest.skip("no keytool")
    store = tmp_path / "store.jks"
    (tmp_path / "other.pem").write_bytes(authority(str(tmp_path / "outside")).pem)

    def keytool(*argv: str) -> str:
        more = ("-keystore", str(store), "-storepass", "changeit")
        return subprocess.run(["keytool", *argv, *more], capture_output=True, text=True, check=True).stdout

    keytool(
        "-importcert", "-noprompt", "-storetype", "JKS", "-alias", "one", "-file", str(tmp_path / "other.pem")
    )
    keytool("-genkeypair", "-keypass", "changeit", "-alias", "two", "-keyalg", "EC", "-dname", "CN=two")
    world = World(tmp_path, {"etc/ssl/certs/java/cacerts": store.read_bytes()})
    store.write_bytes((world.trusting / "etc/ssl/certs/java/cacerts").read_bytes())
    listed = keytool("-list")
    assert "contains 3 entries" in listed
    assert "buildtool-recorded-internet" in listed
    keytool("-delete", "-alias", "one")
    world.write(world.upper, "etc/ssl/certs/java/cacerts", store.read_bytes())
    (mended,) = world.finished().values()
    assert mended is not None
    store.write_bytes(mended)
    assert "contains 1 entry" in keytool("-list")


def test_a_keystore_with_another_password_is_left_alone(tmp_path: Path) -> None:
    data = keystore.adding(keystore._joined(2, []), "one", b"certificate", 0)
    assert keystore.removing(data, b"certificate") == keystore._joined(2, [])
    for damaged in (data[:-1] + b"x", data[:20], data + b"x", b"", b"\xfe\xed\xfe\xed"):
        with pytest.raises(keystore.NotAKeystore):
            keystore.removing(damaged, b"certificate")
    world = World(tmp_path, {"etc/ssl/certs/java/cacerts": data[:-1] + b"x"})
    assert not (world.trusting / "etc/ssl/certs/java/cacerts").exists()
