"""select() on platforms and flags, and what is remembered of a package that asks."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark import process
from buildtool.frontends.starlark.configuration import (
    DEFAULT,
    Configuration,
    Flag,
    choose,
    declared_flags,
    given_flags,
)
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.model import Platform
from tests.support.starlark_services import NoServices

AMD64 = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")
FLAGS = {"debug": Flag("false", ("false", "true")), "size": Flag("slim", ("slim", "full")), "text": Flag("")}


def configured(platform: str = "linux/amd64", *given: str) -> Configuration:
    return Configuration(platform, FLAGS, given_flags(FLAGS, given))


@pytest.mark.parametrize(
    ("conditions", "configuration", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], configured(), "linux/amd64"),
        (["linux/arm64", DEFAULT], configured(), DEFAULT),
        (["linux/arm", "linux/arm/v7"], configured("linux/arm/v7"), "linux/arm/v7"),
        (["linux/arm", "linux/arm/v6"], configured("linux/arm/v7"), "linux/arm"),
        (["linux", "linux/amd64"], configured(), "linux/amd64"),
        (["flag:debug=true", DEFAULT], configured(), DEFAULT),
        (["flag:debug=true", DEFAULT], configured("linux/amd64", "debug"), "flag:debug=true"),
        (["flag:text=a=b"], configured("linux/amd64", "text=a=b"), "flag:text=a=b"),
        (
            ["linux", "flag:size=full, linux/amd64", "flag:size=full"],
            configured("linux/amd64", "size=full"),
            "flag:size=full, linux/amd64",
        ),
    ],
)
def test_the_most_exact_condition_counts(
    conditions: list[str], configuration: Configuration, chosen: str
) -> None:
    assert choose(conditions, configuration) == chosen
    assert choose(conditions[::-1], configuration) == chosen


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (["linux/arm64"], "no-match"),
        (["linux/amd64", "flag:debug=false"], "ambiguous-select"),
        (["amd64", DEFAULT], "bad-condition"),
        (["windows/amd64", DEFAULT], "bad-condition"),
        (["flag:debug", DEFAULT], "bad-condition"),
        (["flag:size=huge", DEFAULT], "bad-flag-value"),
        (["flag:siz=slim", DEFAULT], "unknown-flag"),
    ],
)
def test_conditions_that_cannot_be_answered(conditions: list[str], code: str) -> None:
    with pytest.raises(BuildError) as raised:
        choose(conditions, configured())
    assert raised.value.code == code
    assert raised.value.hint


def test_flags_are_declared_with_their_defaults() -> None:
    found = declared_flags({"flags": {"a": True, "b": "x", "c": {"default": "p", "values": ["p", "q"]}}})
    assert found == {"a": Flag("true", ("false", "true")), "b": Flag("x"), "c": Flag("p", ("p", "q"))}
    for wrong in (
        1,
        {"a": 1},
        {"a b": "x"},
        {"a": {"default": "x", "values": ["y"]}},
        {"a": {"values": [1]}},
    ):
        with pytest.raises(BuildError, match=r"buildtool\.toml"):
            declared_flags({"flags": wrong})
    with pytest.raises(BuildError, match="there is no flag 'debgu'") as raised:
        given_flags(FLAGS, ["debgu=true"])
    assert raised.value.hint == "did you mean debug?"


class Kept(dict[str, bytes]):
    """A memory of packages in a dict."""

    def put(self, key: str, data: bytes) -> None:
        self[key] = data

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self[key] for key in keys if key in self}


def test_a_package_is_loaded_for_each_configuration_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = 'load("@rules//image.star", "image")\n'
    (tmp_path / "buildtool.toml").write_text("[flags]\ndebug = false\n")
    (tmp_path / "a.star").write_text('ARCH = select({"linux/arm": "arm", "//conditions:default": "other"})\n')
    (tmp_path / "BUILD.star").write_text(
        image
        + 'load(":a.star", "ARCH")\n'
        + 'LEVEL = select({"flag:debug=true": ["debug"], "//conditions:default": []})\n'
        + 'image(name = "x", cmd = [ARCH] + LEVEL, base = ":" + "base")\n'
        + 'image(name = "base")\n'
    )
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "BUILD.star").write_text(image + 'image(name = "plain")\n')
    asked: list[str] = []
    started = process.Child.package
    monkeypatch.setattr(
        process.Child, "package", lambda self, name, *more: asked.append(name) or started(self, name, *more)
    )
    memory = Kept()
    cases = [(AMD64, (), ["other"]), (ARM, (), ["arm"]), (AMD64, ("debug",), ["other", "debug"])]
    for _ in range(2):
        for platform, flags, cmd in cases:
            with Workspace.open(str(tmp_path), memory=memory, flags=flags) as workspace:
                seen = workspace.lower(workspace.label("//:x"), platform, 0, NoServices())
                assert list(seen.config.cmd or ()) == cmd
                workspace.lower(workspace.label("//plain"), platform, 0, NoServices())
    assert asked == ["", "plain", "", ""]
