"""Digest lists: read, written, and refused with their line."""

from pathlib import Path

import pytest

from buildtool.diag import BuildError, render
from buildtool.digest import sha256
from buildtool.verify.listed import read, relative, written

A, B = sha256(b"a"), sha256(b"b")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "digests.txt"
    digests = {":app": A, "a folder with blanks": B}
    path.write_bytes(written(digests, "linux/amd64"))
    assert path.read_text().startswith("# platform linux/amd64\n")
    assert read(str(path)) == digests


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f":app {A}\n:app {B}\n", "2:1: error[bad-digest-list]: :app is there twice"),
        ("\n:app sha256:12\n", "2:1: error[bad-digest-list]: 'sha256:12' is not a digest"),
        (f"{A}\n", "1:1: error[bad-digest-list]: a row is NAME sha256:..."),
        ("# nothing\n", "lists no digest"),
    ],
)
def test_mistakes_have_their_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "digests.txt"
    path.write_text(text)
    with pytest.raises(BuildError) as caught:
        read(str(path))
    assert said in render(caught.value)


def test_names_are_relative_to_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative("app", "lists/digests.txt") == "../app"
    assert relative(".", "digests.txt") == "."
    assert relative("//app:image", "lists/digests.txt") == "//app:image"
