"""Names of images: what is one, what its tag and its full name are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.cli.names import parse_name
from buildtool.diag import BuildError


@pytest.mark.parametrize(
    ("text", "short", "full"),
    [
        ("app", "app:latest", "docker.io/library/app:latest"),
        ("app:1.0", "app:1.0", "docker.io/library/app:1.0"),
        ("team/app", "team/app:latest", "docker.io/team/app:latest"),
        ("ghcr.io/me/app:v1", "ghcr.io/me/app:v1", "ghcr.io/me/app:v1"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("a__b/c-d.e", "a__b/c-d.e:latest", "docker.io/a__b/c-d.e:latest"),
    ],
)
def test_names(text: str, short: str, full: str) -> None:
    name = parse_name(text)
    assert (name.short, str(name)) == (short, full)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "App",
        "app:",
        "app:with space",
        "a//b",
        "-a",
        "app@sha256:00",
        "a/../b",
        "a:" + "x" * 129,
        "a" * 256,
        "a\n",
    ],
)
def test_no_names(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_name(text)
    assert caught.value.code == "bad-image-name"


def test_upper_case_gets_advice() -> None:
    with pytest.raises(BuildError) as caught:
        parse_name("MyApp:1")
    assert "myapp:1" in caught.value.hint


@given(st.text(max_size=40))
def test_a_name_means_the_same_when_it_is_written_out(text: str) -> None:
    try:
        name = parse_name(text)
    except BuildError:
        return
    assert parse_name(name.short) == name
    assert parse_name(str(name)) == name
