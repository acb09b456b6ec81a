"""The difference of two images is told where it is: a suite that only said "differs" would help nobody."""

from pathlib import Path

from tests.support.determinism_diff import image_difference
from tests.support.layouts import File, image, layout, tar


def test_equal_images_have_no_difference(tmp_path: Path) -> None:
    one, two = (layout(tmp_path / name, [tar({"a": b"1"})]) for name in ("one", "two"))
    assert image_difference(one, image(one).digest, two, image(two).digest) == []


def test_a_difference_is_told_by_layer_path_field_and_values(tmp_path: Path) -> None:
    one = layout(tmp_path / "one", [tar({"a": File(b"1", 0o644), "b": b"at 12:00:01"})])
    two = layout(tmp_path / "two", [tar({"a": File(b"1", 0o600), "b": b"at 12:03:44"})])
    told = image_difference(one, image(one).digest, two, image(two).digest)
    at = told.index("layer 1  RUN step 1")
    assert told[at + 1 : at + 7] == [
        "  a  mode",
        "      umask (likely): 0644 / 0600: the umask took 044",
        "  b  content",
        '      embedded-time (likely): "12:00:01" / "12:03:44", a time of day',
        "        -at 12:00:01",
        "        +at 12:03:44",
    ]
