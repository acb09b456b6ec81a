"""Which addresses a step's internet takes for an archive's, behind which mirrors."""

import pytest

from buildtool.archives.mirrors import Mirrors
from buildtool.archives.routes import routes
from buildtool.network.asking import Routes

PUBLIC = Mirrors(
    bases={
        "debian": ("http://deb.debian.org/debian",),
        "debian-security": ("http://deb.debian.org/debian-security",),
    },
    instants=(1_700_000_000,),
)
PRIVATE = Mirrors(
    bases={
        "debian": ("http://mirror.example/debian",),
        "debian-security": ("http://mirror.example/security",),
    },
    snapshot="",
    indexes={"pypi": ("https://me:secret@mirror.example/py/simple",), "npm": ("https://mirror.example/npm",)},
)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://deb.debian.org/debian/dists/bookworm/InRelease", "debian:dists/bookworm/InRelease"),
        ("https://deb.debian.org/debian/pool/g/libstdc%2b%2b6.deb", "debian:pool/g/libstdc++6.deb"),
        ("http://security.debian.org/debian-security/dists/x", "debian-security:dists/x"),
        ("http://security.debian.org/dists/x", "debian-security:dists/x"),
        ("https://pypi.org/simple/pip/", "pypi:pip/"),
        ("https://files.pythonhosted.org/packages/a/b/c/x.whl", "pypi-packages:a/b/c/x.whl"),
        ("https://registry.npmjs.org/@babel%2fcore", "npm:@babel%2Fcore"),
        ("http://example.org/debian/x", "http://example.org/debian/x"),
        ("https://pypi.org/pypi/pip/json", "https://pypi.org/pypi/pip/json"),
    ],
)
def test_places_are_the_same_behind_every_mirror(url: str, place: str) -> None:
    assert Routes(routes(PUBLIC)).place(url) == place
    assert Routes(routes(PRIVATE)).place(url) == place


def test_a_mirror_is_asked_and_its_own_addresses_are_the_archives() -> None:
    found = Routes(routes(PRIVATE))
    assert found.place("http://mirror.example/debian/pool/x.deb") == "debian:pool/x.deb"
    assert found.place("https://mirror.example/py/packages/x.whl") == "pypi-packages:x.whl"
    assert found.addresses("debian:pool/x.deb", "") == ("http://mirror.example/debian/pool/x.deb",)
    assert found.addresses("pypi:pip/", "") == ("https://me:secret@mirror.example/py/simple/pip/",)
    assert found.addresses("pypi-packages:x.whl", "") == (
        "https://me:secret@mirror.example/py/packages/x.whl",
        "https://files.pythonhosted.org/packages/x.whl",
    )
    assert all("secret" not in route.prefix for route in routes(PRIVATE))


def test_what_was_recorded_may_be_in_the_snapshots() -> None:
    found = Routes(routes(PUBLIC))
    mirror = "http://deb.debian.org/debian/pool/x.deb"
    assert found.addresses("debian:pool/x.deb", "") == (mirror,)
    assert found.addresses("debian:pool/x.deb", "", was_recorded=True) == (
        mirror,
        "https://snapshot.debian.org/archive/debian/20231115T101320Z/pool/x.deb",
    )


def test_other_addresses_are_asked_as_they_are() -> None:
    url = "https://user:pass@example.org/x?token=1"
    assert Routes(()).addresses(Routes(()).place(url), url) == (url,)
