"""References, places and settings: where the requests for a name go."""

from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.reference import Reference
from buildtool.registry.place import Place, is_loopback, related
from buildtool.registry.reference import parse_reference
from buildtool.registry.settings import Settings, find_settings

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "host", "path", "tag", "digest"),
    [
        ("debian", "docker.io", "library/debian", "latest", None),
        ("debian:12", "docker.io", "library/debian", "12", None),
        ("me/app", "docker.io", "me/app", "latest", None),
        ("docker.io/debian", "docker.io", "library/debian", "latest", None),
        ("index.docker.io/me/app:1", "docker.io", "me/app", "1", None),
        ("ghcr.io/a/b/c:v1.2", "ghcr.io", "a/b/c", "v1.2", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app:1", "localhost:5000", "app", "1", None),
        ("[::1]:5000/app", "[::1]:5000", "app", "latest", None),
        ("Registry/app", "Registry", "app", "latest", None),
        (f"app@{DIGEST}", "docker.io", "library/app", "", DIGEST),
        (f"r.io:80/app:1@{DIGEST}", "r.io:80", "app", "1", DIGEST),
    ],
)
def test_references(text: str, host: str, path: str, tag: str, digest: str | None) -> None:
    found = parse_reference(text)
    assert found == Reference(host, path, tag, digest)
    assert parse_reference(str(found)) == found
    assert parse_reference(found.short) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "App",
        "a//b",
        "../b",
        "a/..",
        "a:b:c",
        "-a",
        "a@sha256:12",
        "a b",
        "a?x",
        "r.io/",
        "x" * 300,
        "a/b@md5:1",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_reference(text)
    assert caught.value.code in ("bad-image-name", "bad-digest")


def test_an_upper_case_name_is_told_its_lower_one() -> None:
    with pytest.raises(BuildError) as caught:
        parse_reference("debian/App")
    assert caught.value.hint == "names are in lower case: debian/app"


@pytest.mark.parametrize(
    ("registry", "realm", "yes"),
    [
        ("registry-1.docker.io", "auth.docker.io", True),
        ("r.example.com:5000", "r.example.com", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("ghcr.io", "ghcr.io", True),
        ("r.example.com", "example.org", False),
        ("a.co.uk", "b.co.uk", False),
        ("x.a.co.uk", "y.a.co.uk", True),
        ("127.0.0.1:5000", "127.0.0.1:6000", True),
        ("127.0.0.1:5000", "127.0.0.2:5000", False),
        ("10.0.0.1", "20.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("registry", "other", False),
        ("com", "evil.com", False),
        ("notexample.com", "example.com", False),
    ],
)
def test_who_belongs_to_whom(registry: str, realm: str, yes: bool) -> None:
    assert related(registry, realm) is yes


def test_loopback_is_known_by_name() -> None:
    assert [is_loopback(h) for h in ("localhost:1", "127.9.9.9:2", "[::1]:3", "::1")] == [True] * 3 + [False]
    assert not is_loopback("localhost.example.com")


# ---------------------------------------------------------------- settings


def test_registries_conf(tmp_path: Path) -> None:
    conf = tmp_path / "registries.conf"
    conf.write_text(
        """
        unqualified-search-registries = ["docker.io"]
        [[registry]]
        prefix = "docker.io"
        location = "hub.example.com/proxy"
        [[registry.mirror]]
        location = "near.example.com/hub"
        insecure = true
        [[registry.mirror]]
        location = "pinned.example.com"
        pull-from-mirror = "digest-only"
        [[registry]]
        location = "docker.io/blocked"
        blocked = true
        [[registry]]
        prefix = "*.dev.example.com"
        location = "all.example.com"
        """
    )
    settings = find_settings(None, {"CONTAINERS_REGISTRIES_CONF": str(conf)})

    assert settings.read_places(parse_reference("debian:12")) == (
        Place("near.example.com", "hub/library/debian", insecure=True),
        Place("hub.example.com", "proxy/library/debian"),
    )
    pinned = settings.read_places(parse_reference(f"debian@{DIGEST}"))
    assert [str(p) for p in pinned] == [
        "near.example.com/hub/library/debian",
        "pinned.example.com/library/debian",
        "hub.example.com/proxy/library/debian",
    ]
    assert str(settings.write_place(parse_reference("a.dev.example.com/x/y"))) == "all.example.com/x/y"
    with pytest.raises(BuildError) as caught:
        settings.read_places(parse_reference("docker.io/blocked/app"))
    assert caught.value.code == "registry-blocked"
    # A prefix ends where a part of the path ends.
    assert settings.read_places(parse_reference("docker.io/blockedtoo/app"))


def test_our_own_settings_go_first(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text('[[registry]]\nlocation = "r.example.com"\nblocked = true\n')
    (tmp_path / "buildtool.toml").write_text(
        '[registries."r.example.com"]\ninsecure = true\n'
        'mirrors = ["http://m.example.com/x", "n.example.com"]\n'
        'realms = ["login.example.org"]\nchunk-size = 5242880\n'
    )
    settings = find_settings(str(tmp_path), {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "conf")})
    assert settings.read_places(parse_reference("r.example.com/app")) == (
        Place("m.example.com", "x/app", insecure=True),
        Place("n.example.com", "app"),
        Place("r.example.com", "app", insecure=True, realms=("login.example.org",), chunk=5242880),
    )


def test_a_wrong_setting_is_shown_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "buildtool.toml").write_text('[registries."r.example.com"]\ninsecur = true\n')
    with pytest.raises(BuildError) as caught:
        find_settings(str(tmp_path), {})
    assert caught.value.code == "config-invalid"
    assert caught.value.span is not None
    assert caught.value.span.line == 2


def test_the_command_line_decides_on_certificates() -> None:
    reference = parse_reference("localhost:5000/app")
    assert Settings().write_place(reference).insecure
    assert not Settings(tls_verify=True).write_place(reference).insecure
    assert Settings(tls_verify=False).write_place(parse_reference("r.example.com/app")).insecure


def test_docker_is_contacted_under_its_other_name() -> None:
    place = Settings().write_place(parse_reference("debian"))
    assert (place.host, place.address, place.path) == ("docker.io", "registry-1.docker.io", "library/debian")
