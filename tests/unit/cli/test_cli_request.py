"""Flags and environment become a request."""

from pathlib import Path
from typing import Any

import pytest

from buildtool.cli.options import request_of
from buildtool.cli.platforms import parse_platform, parse_platforms
from buildtool.cli.request import (
    DEFAULT_EPOCH,
    DockerfileSubject,
    LabelSubject,
    pairs,
    parse_epoch,
    parse_network,
)
from buildtool.diag import BuildError


def _request(*what: str, **options: Any) -> Any:
    defaults: dict[str, Any] = {
        "file": "",
        "target": "",
        "build_arg": (),
        "build_context": (),
        "platform": ("linux/amd64",),
        "label": (),
        "annotation": (),
        "source_date_epoch": None,
        "network": "default",
        "locked": False,
        "no_lock": False,
    }
    return request_of(what=what, **(defaults | options))


def test_a_context(tmp_path: Path) -> None:
    request = _request(str(tmp_path), build_arg=("A=1", "B=x=y", "A=2"), target="web", tag=("app",))
    assert request.subject == DockerfileSubject(str(tmp_path), "", "web", (("A", "2"), ("B", "x=y")))
    assert [n.short for n in request.names] == ["app:latest"]
    assert request.compression == "gzip"


def test_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert _request("//a:b", ":c").subject == LabelSubject(("//a:b", ":c"), str(tmp_path))


@pytest.mark.parametrize(
    ("what", "options", "code"),
    [
        ((), {}, "bad-usage"),
        (("/", "/"), {}, "bad-usage"),
        (("//a:b", "/"), {}, "bad-usage"),
        (("//a:b",), {"target": "x"}, "bad-usage"),
        (("//a:b", ":c"), {"tag": ("x",)}, "bad-usage"),
        (("/nowhere-at-all",), {}, "no-context"),
        (("ftp://example.com/x",), {}, "no-context"),
        (("/",), {"locked": True, "no_lock": True}, "bad-usage"),
        (("/",), {"build_context": ("novalue",)}, "bad-usage"),
        (("/",), {"network": "bridge"}, "bad-usage"),
    ],
)
def test_contradictions(what: tuple[str, ...], options: dict[str, Any], code: str) -> None:
    with pytest.raises(BuildError) as caught:
        _request(*what, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "context",
    [
        "-",
        "https://example.com/x.git#main:sub",
        "http://example.com/x.tar",
        "git@example.com:x",
        "github.com/a/b",
    ],
)
def test_contexts_from_elsewhere(context: str) -> None:
    assert _request(context).subject == DockerfileSubject(context)


def test_several_platforms_are_taken_once_each() -> None:
    found = parse_platforms(["linux/amd64,arm64", "x86_64"])
    assert [str(platform) for platform in found] == ["linux/amd64", "linux/arm64"]
    assert len(parse_platforms([])) == 1


def test_a_bare_build_argument_comes_from_the_environment() -> None:
    assert pairs("--build-arg", ["A", "B", "C=3"], environment={"A": "1"}) == (("A", "1"), ("C", "3"))


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("armv7l", "linux/arm/v7"),
    ],
)
def test_platforms(text: str, platform: str) -> None:
    assert str(parse_platform(text)) == platform


@pytest.mark.parametrize(
    "text", ["windows/amd64", "linux/vax", "linux/amd64/v2/x", "linux/", "linux/amd64,linux/arm64"]
)
def test_no_platforms(text: str) -> None:
    with pytest.raises(BuildError):
        parse_platform(text)


def test_the_epoch() -> None:
    assert parse_epoch(None, {}) == DEFAULT_EPOCH
    assert parse_epoch(None, {"SOURCE_DATE_EPOCH": "1"}) == 1
    assert parse_epoch("2", {"SOURCE_DATE_EPOCH": "1"}) == 2
    assert parse_epoch("0", {}) == 0
    for wrong in ("-1", "1.5", "now", "9" * 13, "²"):
        with pytest.raises(BuildError) as caught:
            parse_epoch(wrong, {})
        assert "--source-date-epoch" in caught.value.message


def test_the_network() -> None:
    assert [parse_network(n) for n in ("default", "none", "host")] == ["default", "none", "host"]
