"""Images as people name them."""

from pathlib import Path

import pytest

from buildtool.cli.places import Place, find, parse_place, whole_digest
from buildtool.diag import BuildError
from buildtool.graph.model import Platform
from buildtool.oci.layout import open_layout
from tests.unit.oci.conftest import LayoutFolder, tiny_layer


def test_digests_cut_short(tmp_path: Path) -> None:
    folder = LayoutFolder(tmp_path / "layout")
    images = [folder.image(name, (tiny_layer({name: b""}),))[0] for name in ("a", "b")]
    layout = open_layout(str(folder.path))
    for digest in images:
        assert whole_digest(layout, digest) == digest
        place = parse_place(digest[:19])
        assert place == Place("", prefix=digest[:19])
        assert find(place, layout, Platform("linux", "amd64")).digest == digest
    for text, code in (
        ("sha256:0000", "no-such-image"),
        ("sha256:00", "bad-digest"),
        ("sha256:zzzz", "bad-digest"),
    ):
        with pytest.raises(BuildError) as caught:
            whole_digest(layout, text)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("app", Place("", "app:latest")),
        ("docker.io/library/app:1", Place("", "app:1")),
        ("oci:folder:1", Place("folder", "1")),
        ("docker-archive:x.tar", Place("x.tar")),
        ("docker-archive:x.tar:app:1", Place("x.tar", "docker.io/library/app:1")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place
