"""References to images in layouts."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.oci.reference import LayoutReference, parse_layout_reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "path", "tag", "digest"),
    [
        ("oci-layout:///abs/path", "/abs/path", "", None),
        ("oci-layout://rel/path:1.0", "rel/path", "1.0", None),
        ("oci-layout://.", ".", "", None),
        (f"oci-layout://p@{DIGEST}", "p", "", DIGEST),
        (f"oci-layout://p:latest@{DIGEST}", "p", "latest", DIGEST),
        ("oci-layout:///with:colon/p", "/with:colon/p", "", None),
        ("oci-layout:///with:colon/", "/with:colon/", "", None),
    ],
)
def test_the_parts_of_a_reference(text: str, path: str, tag: str, digest: str | None) -> None:
    found = parse_layout_reference(text)
    assert (found.path, found.tag, found.digest) == (path, tag, digest)
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("docker-image://busybox", "bad-layout-reference"),
        ("oci-layout://", "bad-layout-reference"),
        ("oci-layout://:tag", "bad-layout-reference"),
        ("oci-layout://p:", "bad-layout-reference"),
        ("oci-layout://p:a b", "bad-layout-reference"),
        ("oci-layout://p:-x", "bad-layout-reference"),
        ("oci-layout://p\0", "bad-layout-reference"),
        ("oci-layout://p@sha256:123", "bad-digest"),
    ],
)
def test_what_is_no_reference(text: str, code: str) -> None:
    with pytest.raises(BuildError) as error:
        parse_layout_reference(text)
    assert error.value.code == code


@given(st.text())
def test_any_text_is_a_reference_or_a_clear_error(text: str) -> None:
    found: LayoutReference | None = None
    with suppress(BuildError):
        found = parse_layout_reference("oci-layout://" + text)
    assert found is None or str(found) == "oci-layout://" + text
