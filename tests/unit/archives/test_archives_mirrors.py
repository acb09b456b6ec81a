"""Where archives are looked for."""

import shutil
from pathlib import Path

import pytest

from buildtool.archives.hostapt import AptSettings, apt_settings
from buildtool.archives.http import redacted
from buildtool.archives.mirrors import Mirrors, discover
from buildtool.diag import BuildError
from buildtool.proxy import Proxies, environment_proxies

HOST = AptSettings({"debian": ("http://mirror.example/debian",)}, {"http": "http://proxy.example:3142"})
PUBLIC = "http://deb.debian.org/debian"


def urls(mirrors: Mirrors, url: str) -> list[str]:
    return [place.url for place in mirrors.places(url)]


def test_the_public_address_without_any_setting() -> None:
    found = discover(None, {}, apt=AptSettings())
    assert urls(found, "debian:dists/bookworm/InRelease") == [f"{PUBLIC}/dists/bookworm/InRelease"]
    assert urls(found, "debian-security:x") == ["http://deb.debian.org/debian-security/x"]


def test_apts_mirror_first() -> None:
    found = discover(None, {}, apt=HOST)
    assert urls(found, "debian:x") == ["http://mirror.example/debian/x", f"{PUBLIC}/x"]
    assert found.places("debian:x")[0].proxies == {"http": "http://proxy.example:3142"}


def test_configuration_replaces_all_others(tmp_path: Path) -> None:
    text = '[mirrors]\ndebian = ["http://a.example/d/", "http://b.example/d"]\nsnapshot = false\n'
    (tmp_path / "buildtool.toml").write_text("[other]\nx = 1\n" + text + "check-valid-until = false\n")
    found = discover(str(tmp_path), {}, instants=(1_700_000_000,), apt=HOST)
    assert urls(found, "debian:pool/x") == ["http://a.example/d/pool/x", "http://b.example/d/pool/x"]
    assert not found.check_valid_until
    environ = {"BUILDTOOL_DEBIAN_MIRROR": "http://c.example/debian"}
    assert urls(discover(str(tmp_path), environ, apt=HOST), "debian:x") == ["http://c.example/debian/x"]


def test_snapshots_come_last_and_only_for_packages() -> None:
    found = discover(None, {}, instants=(1_700_000_000,), apt=AptSettings())
    assert urls(found, "debian:pool/main/a/a_1.0+b~c_all.deb") == [
        f"{PUBLIC}/pool/main/a/a_1.0%2Bb~c_all.deb",
        "https://snapshot.debian.org/archive/debian/20231115T101320Z/pool/main/a/a_1.0%2Bb~c_all.deb",
    ]
    assert len(urls(found, "debian:dists/x")) == 1


def test_ordinary_urls_are_their_own_place() -> None:
    found = discover(None, {}, apt=HOST)
    assert urls(found, "https://example.org/x") == ["https://example.org/x"]
    for bad in ("file:///etc/passwd", "ftp://example.org/x", "x"):
        with pytest.raises(BuildError, match="not an http"):
            found.places(bad)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[mirrors]\ndebain = 'http://x/'", 2, "no 'debain'"),
        ("[mirrors]\ndebian = 'ftp://x/'", 2, "'ftp://x/' is not an http"),
        ("[mirrors]\ndebian = [\n 'http://x/',\n 'x',\n]", 4, "'x' is not an http"),
        ("[mirrors]\ndebian = 1", 2, "not a list"),
        ("[mirrors]\n\nsnapshot = true", 3, "not an http or https address, or false"),
        ("[mirrors]\ncheck-valid-until = 'no'", 2, "not true or false"),
        ("mirrors = 1", 1, "not a table"),
        ("[mirrors", 1, "not TOML"),
    ],
)
def test_wrong_configuration(tmp_path: Path, text: str, line: int, message: str) -> None:
    (tmp_path / "buildtool.toml").write_text(text)
    with pytest.raises(BuildError, match=message) as caught:
        discover(str(tmp_path), {}, apt=HOST)
    assert caught.value.span is not None
    assert caught.value.span.line == line


def test_apt_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://off.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] https://one.example/mirror/ bookworm main\n"
        "deb-src http://src.example/debian bookworm main\n"
        "deb http://vendor.example/linux/debian bookworm stable\n"
        "deb cdrom:[x]/debian bookworm main\n"
    )
    (tmp_path / "sources.list.d" / "b.sources").write_text(
        "# a comment\nTypes: deb deb-src\nURIs: http://two.example/debian/\n"
        "Suites: bookworm bookworm-updates\nComponents: main contrib\n\n"
        "Types: deb\nURIs: http://two.example/debian-security\n"
        "Suites: bookworm-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://no.example/debian\n"
        "Suites: bookworm\nComponents: main\n\nbroken\n"
    )
    (tmp_path / "sources.list.d" / "a.list").write_text("deb http://other.example/apt stable main\n")
    found = apt_settings(str(tmp_path))
    assert found.mirrors == {
        "debian": ("https://one.example/mirror", "http://two.example/debian"),
        "debian-security": ("http://two.example/debian-security",),
    }


@pytest.mark.skipif(shutil.which("apt-config") is None, reason="apt is not installed")
def test_apt_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt.conf").write_text(
        'Dir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\n'
        'Acquire { http { Proxy "http://cache.example:3142"; Proxy::local.example "DIRECT"; }; };\n'
        'Acquire::https::Proxy "DIRECT";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    assert apt_settings(str(tmp_path)).proxies == {"http": "http://cache.example:3142"}


def test_apt_without_settings(tmp_path: Path) -> None:
    assert apt_settings(str(tmp_path / "nothing")).mirrors == {}


def test_proxies() -> None:
    environ = {
        "http_proxy": "http://p:1",
        "HTTPS_PROXY": "http://q:2",
        "no_proxy": "localhost, .corp.example,10.0.0.1",
    }
    found = environment_proxies(environ)
    assert found.of("http://deb.debian.org/x", {}) == "http://p:1"
    assert found.of("https://deb.debian.org/x", {}) == "http://q:2"
    for exempt in ("http://localhost/", "http://a.corp.example/", "http://10.0.0.1:80/"):
        assert found.of(exempt, {"http": "http://apt:3"}) == ""
    assert found.of("http://notcorp.example/", {}) == "http://p:1"
    assert Proxies({}).of("http://x/", {"http": "http://apt:3"}) == "http://apt:3"
    assert Proxies({"http": "http://p:1"}, "*").of("http://x/", {}) == ""


def test_redaction() -> None:
    assert redacted("https://me:secret@example.org/x?token=1#f") == "https://example.org/x"
