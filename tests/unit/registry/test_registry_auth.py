"""Authorization: challenges, tokens, and to whom a credential goes."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from buildtool.diag import BuildError
from buildtool.registry.auth import Authorizer, Scope
from buildtool.registry.challenge import Challenge, parse_challenges
from buildtool.registry.credentials import Credential
from buildtool.registry.fault import Fault
from buildtool.registry.place import Place

PLACE = Place("r.example.com", "team/app")
PULL = Scope.of("team/app")


class Keys:
    def __init__(self, **known: Credential) -> None:
        self.known = {name.replace("_", "."): value for name, value in known.items()}

    def find(self, host: str, path: str) -> Credential | None:
        return self.known.get(host)


class Realm:
    """Gives tokens t1, t2, ... and remembers who asked."""

    def __init__(self, status: int = 200, **more: object) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.status = status
        self.more = more

    def __call__(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, insecure: bool
    ) -> tuple[int, bytes]:
        self.asked.append((method, url, headers, body))
        return self.status, json.dumps({"token": f"t{len(self.asked)}", **self.more}).encode()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (['Bearer realm="https://a/t",service="s",scope="x,y"'], Challenge(True, "https://a/t", "s")),
        (["Basic realm=x"], Challenge(False)),
        (["Basic realm=x", "bearer realm=https://a"], None),
        (['Basic realm="a, b", Bearer realm="https://a"'], Challenge(True, "https://a")),
        (["Negotiate"], None),
        (["Negotiate, Basic realm=x"], Challenge(False)),
        (['Bearer service="s"'], None),
        ([""], None),
        ([r'Bearer realm="https://a/\"x"'], Challenge(True, 'https://a/"x')),
    ],
)
def test_challenges(values: list[str], found: Challenge | None) -> None:
    if values[-1] == "bearer realm=https://a":
        # An address has to be quoted; the other challenge is taken.
        found = Challenge(False)
    assert parse_challenges(values) == found


def test_a_token_is_asked_for_once_a_scope() -> None:
    realm, now = Realm(expires_in=100), [0.0]
    auth = Authorizer(Keys(), realm, lambda: now[0])
    assert auth.header(PLACE, PULL) == ""
    auth.challenged(PLACE, PULL, Challenge(True, "https://auth.example.com/t?x=1", "registry"), "")
    assert [auth.header(PLACE, PULL) for _ in range(3)] == ["Bearer t1"] * 3
    assert auth.header(PLACE, Scope.of("team/app", "pull,push")) == "Bearer t2"
    assert auth.header(PLACE, Scope.of("team/app", "pull,push", "other")) == "Bearer t3"
    now[0] = 95
    assert auth.header(PLACE, PULL) == "Bearer t4"

    method, url, headers, body = realm.asked[2]
    assert (method, body, "Authorization" in headers) == ("GET", None, False)
    assert parse_qs(urlsplit(url).query) == {
        "x": ["1"],
        "service": ["registry"],
        "scope": ["repository:team/app:pull,push", "repository:other:pull"],
    }


def test_a_refused_token_is_not_used_again() -> None:
    auth = Authorizer(Keys(), Realm())
    challenge = Challenge(True, "https://r.example.com/t")
    auth.challenged(PLACE, PULL, challenge, "")
    assert auth.header(PLACE, PULL) == "Bearer t1"
    auth.challenged(PLACE, PULL, challenge, "Bearer t1")
    assert auth.header(PLACE, PULL) == "Bearer t2"
    auth.challenged(PLACE, PULL, challenge, "Bearer t1")
    assert auth.header(PLACE, PULL) == "Bearer t2"


def test_user_and_password_go_to_the_realm_and_basic_to_the_registry() -> None:
    realm = Realm()
    auth = Authorizer(Keys(r_example_com=Credential("me", "pw")), realm)
    auth.challenged(PLACE, PULL, Challenge(True, "https://auth.example.com/t"), "")
    auth.header(PLACE, PULL)
    assert realm.asked[0][2]["Authorization"] == "Basic bWU6cHc="
    auth.challenged(PLACE, PULL, Challenge(False), "")
    assert auth.header(PLACE, PULL) == "Basic bWU6cHc="
    other = Place("other.example.com", "team/app")
    auth.challenged(other, PULL, Challenge(False), "")
    assert auth.header(other, PULL) == ""


def test_an_identity_token_is_posted() -> None:
    realm = Realm()
    auth = Authorizer(Keys(r_example_com=Credential(identity_token="secret")), realm)
    auth.challenged(PLACE, PULL, Challenge(True, "https://r.example.com/t", "s"), "")
    auth.header(PLACE, PULL)
    method, url, _, body = realm.asked[0]
    assert (method, "secret" in url) == ("POST", False)
    assert parse_qs((body or b"").decode()) == {
        "service": ["s"],
        "grant_type": ["refresh_token"],
        "client_id": ["buildtool"],
        "scope": ["repository:team/app:pull"],
        "refresh_token": ["secret"],
    }


@pytest.mark.parametrize(
    ("realm", "place"),
    [
        ("https://evil.org/t", PLACE),
        ("http://auth.example.com/t", PLACE),
        ("https://r.example.com.evil.org/t", PLACE),
        ("http://evil.org/t", Place("r.example.com", "x", insecure=True)),
    ],
)
def test_a_login_goes_to_no_foreign_realm(realm: str, place: Place) -> None:
    asked = Realm()
    auth = Authorizer(Keys(r_example_com=Credential("me", "pw")), asked)
    auth.challenged(place, PULL, Challenge(True, realm), "")
    with pytest.raises(BuildError) as caught:
        auth.header(place, PULL)
    assert caught.value.code == "foreign-realm"
    assert asked.asked == []


def test_anonymous_use_and_trusted_realms_may_be_elsewhere() -> None:
    asked = Realm()
    auth = Authorizer(Keys(), asked)
    auth.challenged(PLACE, PULL, Challenge(True, "https://auth.elsewhere.org/t"), "")
    assert auth.header(PLACE, PULL) == "Bearer t1"

    trusting = Place("r.example.com", "x", realms=("auth.elsewhere.org",))
    auth = Authorizer(Keys(r_example_com=Credential("me", "pw")), asked)
    auth.challenged(trusting, PULL, Challenge(True, "https://auth.elsewhere.org/t"), "")
    assert auth.header(trusting, PULL) == "Bearer t2"


@pytest.mark.parametrize("realm", ["ftp://r.example.com/", "https:///t", "https://u:p@r.example.com/t", "t"])
def test_a_realm_is_a_web_address(realm: str) -> None:
    auth = Authorizer(Keys(), Realm())
    auth.challenged(PLACE, PULL, Challenge(True, realm), "")
    with pytest.raises(Fault, match="no web address"):
        auth.header(PLACE, PULL)


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "", "x" * 200_000, "é", 7, None])
def test_what_is_no_token(token: object) -> None:
    auth = Authorizer(Keys(), Realm(token=token))
    auth.challenged(PLACE, PULL, Challenge(True, "https://r.example.com/t"), "")
    with pytest.raises(Fault, match="something else than a token"):
        auth.header(PLACE, PULL)


def test_a_realm_that_refuses() -> None:
    auth = Authorizer(Keys(r_example_com=Credential("me", "pw")), Realm(status=401))
    auth.challenged(PLACE, PULL, Challenge(True, "https://r.example.com/t"), "")
    with pytest.raises(Fault, match="refuses the login") as caught:
        auth.header(PLACE, PULL)
    assert caught.value.status == 401
