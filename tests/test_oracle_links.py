"""The oracle's links are made again from the files that a checkout left in their place."""

import os
from pathlib import Path

import pytest

from tests.support import oracle


def test_files_that_hold_a_target_become_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tmp_path / "oracle" / "cases" / "a" / "context"
    context.mkdir(parents=True)
    (context / "lost").write_bytes(b"../elsewhere")
    (context / "plain").write_bytes(b"text")
    os.symlink("plain", context / "kept")
    names = tmp_path / "links.txt"
    names.write_text("a/context/lost\na/context/kept\nb/context/gone\n")
    monkeypatch.setattr(oracle, "LINKS", names)

    there = oracle.restored(tmp_path / "oracle", tmp_path / "copy") / "cases" / "a" / "context"

    assert os.readlink(there / "lost") == "../elsewhere"
    assert os.readlink(there / "kept") == "plain"
    assert (there / "plain").read_bytes() == b"text"
    assert not (context / "lost").is_symlink()
