"""Names of images: one grammar, and everything that reads such names agrees on it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.attest.purl import image_url
from buildtool.cli.names import parse_name
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.frontends.dockerfile.reference import context_name, familiar
from buildtool.frontends.starlark.declared import PushTarget
from buildtool.reference import DOCKER, Reference, read
from buildtool.registry.reference import parse_reference

DIGEST = Digest("sha256:" + "ab" * 32)

#: What a text spells (distribution/reference, `ParseNormalizedNamed`), and its short form.
NAMES = [
    ("debian", Reference("docker.io", "library/debian"), "debian"),
    ("debian:12", Reference("docker.io", "library/debian", "12"), "debian:12"),
    ("library/debian", Reference("docker.io", "library/debian"), "debian"),
    ("docker.io/debian", Reference("docker.io", "library/debian"), "debian"),
    ("docker.io/library/debian", Reference("docker.io", "library/debian"), "debian"),
    ("index.docker.io/me/app:1", Reference("docker.io", "me/app", "1"), "me/app:1"),
    ("index.docker.io/debian", Reference("docker.io", "library/debian"), "debian"),
    (
        "registry-1.docker.io/me/app",
        Reference("registry-1.docker.io", "me/app"),
        "registry-1.docker.io/me/app",
    ),
    ("docker.io/library/a/b", Reference("docker.io", "library/a/b"), "library/a/b"),
    ("library/a/b", Reference("docker.io", "library/a/b"), "library/a/b"),
    ("me/app", Reference("docker.io", "me/app"), "me/app"),
    ("a__b/c-d.e", Reference("docker.io", "a__b/c-d.e"), "a__b/c-d.e"),
    ("a---b", Reference("docker.io", "library/a---b"), "a---b"),
    ("ghcr.io/a/b/c:v1.2", Reference("ghcr.io", "a/b/c", "v1.2"), "ghcr.io/a/b/c:v1.2"),
    ("ghcr.io/library/a", Reference("ghcr.io", "library/a"), "ghcr.io/library/a"),
    ("example.org", Reference("docker.io", "library/example.org"), "example.org"),
    ("localhost", Reference("docker.io", "library/localhost"), "localhost"),
    ("localhost/app", Reference("localhost", "app"), "localhost/app"),
    ("localhost:5000/app:1", Reference("localhost:5000", "app", "1"), "localhost:5000/app:1"),
    ("localhost:5000", Reference("docker.io", "library/localhost", "5000"), "localhost:5000"),
    ("127.0.0.1:80/a", Reference("127.0.0.1:80", "a"), "127.0.0.1:80/a"),
    ("[::1]:5000/app", Reference("[::1]:5000", "app"), "[::1]:5000/app"),
    ("[2001:DB8::1]/app", Reference("[2001:DB8::1]", "app"), "[2001:DB8::1]/app"),
    ("Registry/app", Reference("Registry", "app"), "Registry/app"),
    ("app:_A.b-C", Reference("docker.io", "library/app", "_A.b-C"), "app:_A.b-C"),
    ("a:" + "x" * 128, Reference("docker.io", "library/a", "x" * 128), "a:" + "x" * 128),
    ("a" * 247, Reference("docker.io", "library/" + "a" * 247), "a" * 247),
    ("r.io/" + "a" * 255 + ":1", Reference("r.io", "a" * 255, "1"), "r.io/" + "a" * 255 + ":1"),
    (f"app@{DIGEST}", Reference("docker.io", "library/app", "", DIGEST), f"app@{DIGEST}"),
    (f"r.io:80/app:1@{DIGEST}", Reference("r.io:80", "app", "1", DIGEST), f"r.io:80/app:1@{DIGEST}"),
]

NONE = [
    "",
    "/",
    "App",
    "Docker.io/App",
    "app:",
    "app:with space",
    "app:-1",
    "a:b:c",
    "a:" + "x" * 129,
    "a//b",
    "/a",
    "a/",
    "r.io/",
    "r.io/:1",
    "-a",
    "a-",
    "a..b",
    "a___b",
    "a._b",
    "../b",
    "a/../b",
    "a b",
    "a?x",
    "a\n",
    "é",
    "É/a",
    "a٣",
    "a:٣",
    "a_b.c/d",
    "-r.io/d",
    "r.io-/d",
    "r.io:port/d",
    "r.io:/d",
    "[::1/d",
    "[::g]/d",
    "::1/d",
    "a" * 248,
    "r.io/" + "a" * 256,
    "r.io/a" + "/a" * 4096,
    "https://r.io/a",
]

#: Digests that no name has here: cut short, of other algorithms, in capital letters.
DIGESTS = ["", "sha256:", "sha256:12", "ab" * 32, "md5:" + "ab" * 16, "sha512:" + "ab" * 64, DIGEST.upper()]


@pytest.mark.parametrize(("text", "reference", "short"), NAMES)
def test_what_a_name_spells(text: str, reference: Reference, short: str) -> None:
    assert read(text) == reference
    assert reference.short == short
    assert read(str(reference)) == read(short) == reference


@pytest.mark.parametrize(("text", "reference", "short"), NAMES)
def test_all_readers_mean_the_same_image(text: str, reference: Reference, short: str) -> None:
    tagged = reference if reference.version else replace(reference, tag="latest")
    assert parse_reference(text) == tagged
    assert parse_reference(text, default_tag="") == reference
    assert parse_reference(familiar(text)) == tagged
    assert familiar(text) == short
    assert context_name(text) == (short if "/" in text else short.lower())
    assert ("repository_url" in image_url(str(tagged))) is (tagged.host != DOCKER)
    if reference.digest is None:
        assert parse_name(text) == tagged
    if not reference.version:
        assert PushTarget(name="p", image=":i", repository=text).repository == text


@pytest.mark.parametrize("text", NONE)
def test_all_readers_refuse_the_same(text: str) -> None:
    assert read(text) is None
    assert _refusal(familiar, text) == "bad-reference"
    assert _refusal(parse_name, text) == _refusal(parse_reference, text) == "bad-image-name"
    with pytest.raises(ValueError, match="is a repository"):
        PushTarget(name="p", image=":i", repository=text)


@pytest.mark.parametrize("digest", DIGESTS)
def test_all_readers_refuse_the_same_digests(digest: str) -> None:
    text = f"app@{digest}"
    assert _refusal(familiar, text) in ("bad-reference", "bad-digest")
    assert _refusal(parse_name, text) == "bad-image-name"
    assert _refusal(parse_reference, text) == "bad-digest"


def _refusal(reader: Callable[[str], object], text: str) -> str:
    with pytest.raises(BuildError) as caught:
        reader(text)
    return caught.value.code


#: Texts that are nearly names.
_NEARLY = st.text(st.sampled_from("aA0.-_/:@[]"), max_size=16) | st.from_regex(
    r"([A-Za-z0-9.:-]{1,8}/)?[a-z0-9._/-]{1,12}(:[A-Za-z0-9_.-]{1,4})?", fullmatch=True
)


@given(_NEARLY)
def test_a_name_means_the_same_however_it_is_written(text: str) -> None:
    found = read(text)
    if found is None:
        assert {_refusal(familiar, text), _refusal(parse_name, text)} == {"bad-reference", "bad-image-name"}
        return
    assert read(found.short) == read(str(found)) == found
    assert parse_name(text) == parse_reference(text) == parse_reference(familiar(text))
    assert parse_name(familiar(text)).short == parse_name(text).short
