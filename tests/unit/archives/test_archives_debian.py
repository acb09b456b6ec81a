"""A whole resolution against a small archive on loopback: what is trusted, and what is refused."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest

from buildtool.archives.debian import DebianArchive
from buildtool.archives.fetch import HttpFetcher
from buildtool.archives.http import Web
from buildtool.archives.keys import debian_keyring
from buildtool.archives.mirrors import Mirrors, discover
from buildtool.archives.signature import dearmour
from buildtool.diag import BuildError, render
from buildtool.digest import sha256
from buildtool.lock.debian import DebianRequest
from buildtool.lock.model import DebianPins
from buildtool.proxy import Proxies, environment_proxies
from buildtool.store import Store
from tests.support.debian_archive import NOW, FakeArchive, Served, serve
from tests.support.openpgp import armoured, clear_signed, public_key

Golden = Callable[[str, str], None]

pytestmark = pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is not installed")


def small_archive() -> FakeArchive:
    archive = FakeArchive()
    archive.add("base-files", "12.4", priority="required", essential="yes", pre_depends="awk")
    archive.add("mawk", "1.3", priority="required", provides="awk")
    archive.add("apt", "2.6", priority="required", depends="libapt (>= 2)")
    archive.add("libapt", "2.6.1")
    archive.add("python3", "3.11", depends="libapt | other")
    return archive


@dataclass
class Setup:
    """What a case can turn before the resolution."""

    archive: FakeArchive = field(default_factory=small_archive)
    key: bytes | None = field(default_factory=public_key)
    suite: str = "bookworm"
    component: str = "main"
    architecture: str = "amd64"
    packages: tuple[str, ...] = ("python3",)
    check_valid_until: bool = True
    published: bool = False

    def publish(self) -> None:
        if not self.published:
            self.archive.publish()
            self.published = True

    def resolve(self, store: Store, served: Served) -> DebianPins:
        mirrors = Mirrors(
            {"debian": (served.url,), "debian-security": (served.url,)},
            snapshot="",
            check_valid_until=self.check_valid_until,
        )
        fetcher = HttpFetcher(store.blobs, lambda: mirrors, Web(Proxies({})), lambda seconds: None)
        request = DebianRequest(
            "//:root", (self.suite,), (self.component,), self.architecture, self.packages, keyring=self.key
        )
        return DebianArchive(fetcher, lambda: public_key(), now=lambda: NOW).debian(request)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


def test_a_resolution(store: Store) -> None:
    setup = Setup()
    setup.publish()
    with serve(setup.archive.files) as served:
        pins = setup.resolve(store, served)
    assert [p.name for p in pins.resolved] == ["mawk", "base-files", "libapt", "apt", "python3"]
    assert [p.name for p in pins.resolved if p.essential] == ["mawk", "base-files"]
    for package in pins.resolved:
        deb = setup.archive.files[package.path]
        assert (package.size, package.digest, package.archive) == (len(deb), sha256(deb), "debian")
        assert package.urls == (f"debian:{package.path}",)
    (release,) = pins.releases
    assert release.digest == sha256(setup.archive.files["dists/bookworm/InRelease"])
    assert (release.suite, release.date) == ("bookworm", NOW - 3600)


def test_by_hash_comes_first(store: Store) -> None:
    setup = Setup()
    setup.archive.release["Acquire-By-Hash"] = "yes"
    setup.publish()
    setup.archive.files["dists/bookworm/main/binary-amd64/Packages.xz"] = b"of another release"
    with serve(setup.archive.files) as served:
        setup.resolve(store, served)
        assert any("by-hash/SHA256" in path for path in served.asked)


def test_a_security_suite_is_of_the_security_archive(store: Store) -> None:
    archive = FakeArchive(suite="bookworm-security")
    archive.add("python3", "3.11.1")
    archive.add("apt", "2.6", priority="required")
    setup = Setup(archive, suite="bookworm-security")
    setup.publish()
    with serve(archive.files) as served:
        pins = setup.resolve(store, served)
    assert {p.archive for p in pins.resolved} == {"debian-security"}


def test_shipped_keys_are_used_without_a_keyring(store: Store) -> None:
    setup = Setup(key=None)
    setup.publish()
    with serve(setup.archive.files) as served:
        assert setup.resolve(store, served).keyring is None


def test_an_armoured_keyring(store: Store) -> None:
    setup = Setup(key=armoured(public_key(created=1)) + armoured(public_key()))
    setup.publish()
    with serve(setup.archive.files) as served:
        assert setup.resolve(store, served).keyring == sha256(setup.key or b"")


def test_a_frozen_mirror_can_be_allowed(store: Store) -> None:
    setup = Setup(check_valid_until=False)
    setup.archive.release["Valid-Until"] = formatdate(NOW - 60, usegmt=True)
    setup.publish()
    with serve(setup.archive.files) as served:
        assert setup.resolve(store, served).resolved


def _tampered(setup: Setup) -> None:
    setup.publish()
    path = "dists/bookworm/InRelease"
    setup.archive.files[path] = setup.archive.files[path].replace(b"Origin: Test", b"Origin: Evil")


def _added_in_front(setup: Setup) -> None:
    setup.publish()
    path = "dists/bookworm/InRelease"
    setup.archive.files[path] = b"Origin: Evil\n\n" + setup.archive.files[path]


def _not_signed(setup: Setup) -> None:
    setup.archive.publish(sign=lambda text: text)
    setup.published = True


def _signed_by_another(setup: Setup) -> None:
    setup.archive.publish(sign=lambda text: clear_signed(text, key_created=5))
    setup.published = True


def _expired(setup: Setup) -> None:
    setup.archive.release["Valid-Until"] = formatdate(NOW - 60, usegmt=True)


def _future(setup: Setup) -> None:
    setup.archive.release["Date"] = formatdate(NOW + 90_000, usegmt=True)


def _other_suite(setup: Setup) -> None:
    setup.archive.release["Codename"] = "buster"


def _wrong_index(setup: Setup) -> None:
    setup.publish()
    setup.archive.files["dists/bookworm/main/binary-amd64/Packages.xz"] += b"\0"


def _truncated_index(setup: Setup) -> None:
    setup.publish()
    path = "dists/bookworm/main/binary-amd64/Packages.xz"
    setup.archive.files[path] = setup.archive.files[path][:-10]


def _bad_index(setup: Setup) -> None:
    setup.archive._stanzas.append("Package: broken\nVersion: 1\nPriority: required\n")


def _no_hashes(setup: Setup) -> None:
    setup.archive.publish(sign=lambda text: clear_signed(text.partition(b"SHA256:")[0]))
    setup.published = True


def _component(setup: Setup) -> None:
    setup.component = "universe"


def _architecture(setup: Setup) -> None:
    setup.architecture = "amd46"


def _expired_key(setup: Setup) -> None:
    setup.key = public_key(valid_seconds=100)


def _no_release(setup: Setup) -> None:
    setup.publish()
    del setup.archive.files["dists/bookworm/InRelease"]


REFUSED = [
    _tampered,
    _added_in_front,
    _not_signed,
    _signed_by_another,
    _expired,
    _future,
    _other_suite,
    _wrong_index,
    _truncated_index,
    _bad_index,
    _no_hashes,
    _component,
    _architecture,
    _expired_key,
    _no_release,
]


@pytest.mark.parametrize("turn", REFUSED, ids=lambda turn: turn.__name__[1:].replace("_", "-"))
def test_refused(store: Store, golden: Golden, turn: Callable[[Setup], None]) -> None:
    setup = Setup()
    turn(setup)
    setup.publish()
    with serve(setup.archive.files) as served, pytest.raises(BuildError) as caught:
        setup.resolve(store, served)
    told = render(caught.value).replace(served.url, "MIRROR")
    told = re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", re.sub(r"[0-9]+ bytes", "N bytes", told))
    golden(f"archives/refused/{turn.__name__[1:].replace('_', '-')}.txt", told + "\n")


def test_no_gpgv(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    setup = Setup()
    setup.publish()
    with serve(setup.archive.files) as served, pytest.raises(BuildError) as caught:
        setup.resolve(store, served)
    assert (caught.value.code, caught.value.hint) == ("no-gpgv", "apt-get install gpgv")


def test_the_shipped_keys_are_public_keys() -> None:
    packets = dearmour(debian_keyring())
    assert packets[0] & 0x80
    assert b"Debian Archive Automatic Signing Key (12/bookworm)" in packets
    assert b"Debian Stable Release Key (13/trixie)" in packets


@pytest.mark.network
def test_bookworm(store: Store) -> None:
    """The real archive: every suite of bookworm, a minbase root with Python."""
    fetcher = HttpFetcher(store.blobs, lambda: discover(None), Web(environment_proxies(os.environ)))
    request = DebianRequest(
        "//:bookworm",
        ("bookworm", "bookworm-updates", "bookworm-security"),
        ("main",),
        "amd64",
        ("python3", "python3-pip"),
    )
    pins = DebianArchive(fetcher).debian(request)
    names = [p.name for p in pins.resolved]
    essential = {p.name for p in pins.resolved if p.essential}
    assert {"bash", "coreutils", "dpkg", "libc6", "perl-base", "mawk", "usr-is-merged"} <= essential
    assert {"apt", "python3", "python3-pip", "tzdata"} <= set(names) - essential
    assert "usrmerge" not in names
    assert names.index("libc6") < names.index("bash")
    smallest = min(pins.resolved, key=lambda p: p.size)
    fetcher.fetch_blob(smallest.digest, smallest.size, smallest.urls, smallest.name)
    assert store.blobs.size(smallest.digest) == smallest.size
