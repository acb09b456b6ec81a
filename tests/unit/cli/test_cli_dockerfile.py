"""`buildtool dockerfile ast`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from buildtool.cli import main

TEXT = "FROM scratch AS a\nENV A=1\n"


def run(*arguments: str, stdin: str = "") -> str:
    result = CliRunner().invoke(
        main.group, ["dockerfile", "ast", *arguments], input=stdin, standalone_mode=False
    )
    assert result.exception is None, result.output
    return result.output


def test_forms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dockerfile").write_text(TEXT)
    assert run("--format=sexpr") == '(from "scratch" "AS" "a")\n(env "A" "1" "=")\n'
    assert run() == (
        'FROM  1:1-18\n    base "scratch"  1:6-13\n    alias "a"  1:17-18\n'
        '  ENV  2:1-8\n      pair A="1"  2:5-8\n'
    )
    document = json.loads(run("--format=json", "-", stdin=TEXT))
    assert document["stages"][0]["start"]["base"] == {"text": "scratch", "at": [1, 6, 1, 13]}
    assert document["stages"][0]["body"][0]["kind"] == "ENV"
