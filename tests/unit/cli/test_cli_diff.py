"""Subjects of `buildtool diff` that need something beside files: an image of a registry."""

import json
from pathlib import Path

import pytest

from buildtool.cli.main import run
from tests.support.layouts import layout, tar
from tests.support.scripted_registry import serving


def test_an_image_of_a_registry_is_pulled_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    one = layout(tmp_path / "one", [tar({"nproc": b"4\n"})])
    two = layout(tmp_path / "two", [tar({"nproc": b"16\n"})])
    with serving() as registry:
        for blob in (two / "blobs" / "sha256").iterdir():
            registry.add_blob(blob.read_bytes())
        (entry,) = json.loads((two / "index.json").read_text())["manifests"]
        data = (two / "blobs" / "sha256" / entry["digest"][7:]).read_bytes()
        registry.manifests["team/app", "1"] = (entry["mediaType"], data)
        assert run(["diff", str(one), f"docker://{registry.address}/team/app:1"]) == 1
    out = capsys.readouterr().out
    assert "layer 1" in out
    assert 'cpu-count (likely): "4" / "16"' in out
