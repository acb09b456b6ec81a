"""Who may name a target."""

from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark.visibility import check_visibility, sees
from buildtool.frontends.starlark.workspace import Workspace


@pytest.mark.parametrize(
    ("package", "entries", "visible"),
    [
        ("a", ("//visibility:private",), True),
        ("b", ("//visibility:private",), False),
        ("b", (), False),
        ("b", ("//visibility:public",), True),
        ("b", ("//b:__pkg__",), True),
        ("b/c", ("//b:__pkg__",), False),
        ("b/c", ("//b:__subpackages__",), True),
        ("bc", ("//b:__subpackages__", "//b/..."), False),
        ("b/c", ("//b/...",), True),
        ("", ("//:__pkg__",), True),
        ("b", ("//:__subpackages__",), True),
        ("b", ("//...",), True),
    ],
)
def test_who_sees_a_target_of_package_a(package: str, entries: tuple[str, ...], visible: bool) -> None:
    check_visibility(entries)
    assert sees(package, "a", entries) == visible


@pytest.mark.parametrize("entry", ["public", "//a", ":__pkg__", "//a:b", "//a b:__pkg__", "/...", "..."])
def test_entries_that_say_nothing(entry: str) -> None:
    with pytest.raises(BuildError) as raised:
        check_visibility([entry])
    assert raised.value.code in ("bad-visibility", "bad-label")


def test_the_default_is_the_package_s(tmp_path: Path) -> None:
    load = 'load("@rules//image.star", "image")\n'
    (tmp_path / "buildtool.toml").touch()
    text = 'package(default_visibility = "//visibility:public")\nimage(name = "a")\n'
    text += 'image(name = "b", visibility = [])\n'
    (tmp_path / "BUILD.star").write_text(load + text)
    with Workspace.open(str(tmp_path)) as workspace:
        workspace.target(workspace.label("//:a"), asking="elsewhere")
        workspace.target(workspace.label("//:b"))
        workspace.target(workspace.label("//:b"), asking="")
        with pytest.raises(BuildError) as raised:
            workspace.target(workspace.label("//:b"), asking="elsewhere")
    assert raised.value.code == "private-target"
