import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.frontends.starlark.labels import (
    Label,
    ModuleLabel,
    Pattern,
    parse_label,
    parse_module,
    parse_pattern,
)

SEGMENT = st.from_regex(r"[A-Za-z0-9_+=,@~-][A-Za-z0-9_.+=,@~-]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("//a/b:c", Label("a/b", "c")),
        ("//a/b", Label("a/b", "b")),
        ("//:c", Label("", "c")),
        (":c", Label("here", "c")),
    ],
)
def test_labels(text: str, label: Label) -> None:
    assert parse_label(text, "here") == label


@pytest.mark.parametrize(
    "text",
    [
        "c",
        "//",
        "//a//b:c",
        "//a/../b:c",
        "//./a",
        ":",
        ":a/b",
        ":..",
        "///a",
        "//a:b:c",
        "//a b",
        ":é",
        "/a",
    ],
)
def test_bad_labels(text: str) -> None:
    with pytest.raises(BuildError) as raised:
        parse_label(text, "here")
    assert raised.value.code == "bad-label"


@given(st.lists(SEGMENT, max_size=4), SEGMENT)
def test_a_label_reads_as_it_is_written(package: list[str], name: str) -> None:
    label = Label("/".join(package), name)
    assert parse_label(str(label), "elsewhere") == label


@given(st.text(max_size=40))
def test_any_text_is_a_safe_label_or_an_error(text: str) -> None:
    try:
        label = parse_label(text, "here")
    except BuildError:
        return
    parts = [*label.package.split("/"), label.name] if label.package else [label.name]
    assert not any(p in ("", ".", "..") or "\0" in p for p in parts)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("//...", Pattern("", below=True)),
        ("//a/...", Pattern("a", below=True)),
        ("...", Pattern("here", below=True)),
        ("sub/...", Pattern("here/sub", below=True)),
        ("//a:all", Pattern("a")),
        (":all", Pattern("here")),
        ("//a:b", Pattern("a", "b")),
    ],
)
def test_patterns(text: str, pattern: Pattern) -> None:
    assert parse_pattern(text, "here") == pattern


@pytest.mark.parametrize(
    ("text", "module"),
    [
        (":x.star", ModuleLabel(False, "here", "x.star")),
        ("x.star", ModuleLabel(False, "here", "x.star")),
        ("//a:x.star", ModuleLabel(False, "a", "x.star")),
        ("//a/b/x.star", ModuleLabel(False, "a/b", "x.star")),
        ("//:x.star", ModuleLabel(False, "", "x.star")),
        ("@rules//image.star", ModuleLabel(True, "", "image.star")),
    ],
)
def test_modules(text: str, module: ModuleLabel) -> None:
    assert parse_module(text, "here", shipped=False) == module


@pytest.mark.parametrize(
    "text",
    [
        "../x.star",
        "/etc/x.star",
        "a/x.star",
        "//a:BUILD.star",
        "x.bzl",
        "@other//x.star",
        "@rules//../x.star",
    ],
)
def test_bad_modules(text: str) -> None:
    with pytest.raises(BuildError) as raised:
        parse_module(text, "here", shipped=False)
    assert raised.value.code == "bad-load"


def test_a_shipped_file_loads_from_beside_itself() -> None:
    assert parse_module(":x.star", "", shipped=True) == ModuleLabel(True, "", "x.star")
