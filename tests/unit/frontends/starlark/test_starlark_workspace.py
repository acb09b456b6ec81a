import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark import process
from buildtool.frontends.starlark.declared import Package
from buildtool.frontends.starlark.labels import Label
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.dump import dump
from buildtool.graph.model import BindMount, CopyAction, FileOp, Image, LocalSource, Platform, Run
from tests.support.starlark_services import CannedServices, NoServices

AMD64 = Platform("linux", "amd64")
IMAGE = 'load("@rules//image.star", "image")\n'


class Kept(dict[str, bytes]):
    """A memory of packages in a dict."""

    def put(self, key: str, data: bytes) -> None:
        self[key] = data

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self[key] for key in keys if key in self}


def make(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def lower(folder: Path, text: str = "//:x", memory: Kept | None = None) -> Image:
    with Workspace.open(str(folder), memory=memory) as workspace:
        return workspace.lower(workspace.label(text), AMD64, 0, NoServices())


# ---------------------------------------------------------------- roots and packages


def test_root_is_the_nearest_settings_file(tmp_path: Path) -> None:
    make(tmp_path, {"BUILD.star": "", "ws/buildtool.toml": "a = 1", "ws/a/b/BUILD.star": ""})
    workspace = Workspace.open(str(tmp_path / "ws" / "a" / "b"))
    assert workspace.root == str(tmp_path / "ws")
    assert (workspace.here, workspace.settings) == ("a/b", {"a": 1})
    assert workspace.label(":x") == Label("a/b", "x")


def test_root_without_settings_is_the_topmost_build_file_of_the_checkout(tmp_path: Path) -> None:
    make(
        tmp_path,
        {"BUILD.star": "", "repo/.git/HEAD": "", "repo/a/BUILD.star": "", "repo/a/b/c/BUILD.star": ""},
    )
    assert Workspace.open(str(tmp_path / "repo" / "a" / "b" / "c")).root == str(tmp_path / "repo" / "a")
    make(tmp_path, {"alone/x": "", "alone/.git/HEAD": ""})
    assert Workspace.open(str(tmp_path / "alone")).root == str(tmp_path / "alone")


def test_patterns_name_targets_in_order(tmp_path: Path) -> None:
    build = IMAGE + 'image(name = "z")\nimage(name = "a")\n'
    make(
        tmp_path,
        {"buildtool.toml": "", "b/BUILD.star": build, "a/c/BUILD.star": build, ".hidden/BUILD.star": build},
    )
    make(tmp_path, {"inner/buildtool.toml": "", "inner/BUILD.star": build})
    with Workspace.open(str(tmp_path)) as workspace:
        found = [str(label) for label in workspace.targets("//...")]
        assert found == ["//a/c:z", "//a/c:a", "//b:z", "//b:a"]
        assert [str(label) for label in workspace.targets("//b:all")] == ["//b:z", "//b:a"]
        with pytest.raises(BuildError, match="there is no package below //nothing"):
            workspace.targets("//nothing/...")


def test_packages_load_only_when_they_are_named(tmp_path: Path) -> None:
    make(tmp_path, {"BUILD.star": IMAGE + 'image(name = "x")\n', "broken/BUILD.star": "fail()"})
    assert lower(tmp_path).rootfs is None


def test_prints_are_warnings_with_a_place(tmp_path: Path) -> None:
    make(tmp_path, {"BUILD.star": 'print("a", 1, ["b"])\n'})
    with Workspace.open(str(tmp_path)) as workspace:
        workspace.package("")
        (warning,) = workspace.warnings
    assert (warning.message, str(warning.span)) == ('a 1 ["b"]', "BUILD.star:1:1")


def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    make(tmp_path, {"secret.star": "a = 1", "ws/BUILD.star": 'load(":a.star", "a")', "ws/buildtool.toml": ""})
    os.symlink("../secret.star", tmp_path / "ws" / "a.star")
    with pytest.raises(BuildError) as raised:
        lower(tmp_path / "ws")
    assert raised.value.code == "outside-workspace"


# ---------------------------------------------------------------- remembered packages


def test_an_unchanged_package_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'load(":r.star", "r")\nr("x")\n'
    rule = IMAGE + 'def r(name):\n    image(name = name, steps = [copy(glob(["*.py"]), "/app/")])\n'
    make(tmp_path, {"BUILD.star": text, "r.star": rule, "a.py": ""})
    memory = Kept()
    first = dump([lower(tmp_path, memory=memory)])
    starts = []
    started = process.Child.package
    monkeypatch.setattr(
        process.Child, "package", lambda self, name, *more: starts.append(name) or started(self, name, *more)
    )
    assert dump([lower(tmp_path, memory=memory)]) == first
    assert starts == []
    for change in ({"b.py": ""}, {"r.star": rule + "\n"}, {"BUILD.star": text + "\n"}):
        make(tmp_path, change)
        lower(tmp_path, memory=memory)
        assert len(starts) == 1, change
        starts.clear()
    memory.update(dict.fromkeys(memory, b"{}"))
    lower(tmp_path, memory=memory)
    assert starts == [""]


def test_a_package_that_killed_the_process_does_not_stop_the_next(tmp_path: Path) -> None:
    deadly = 'def f():\n    x = "a"\n    for i in range(100):\n        x = x + x\n\nf()\n'
    make(
        tmp_path,
        {"buildtool.toml": "", "a/BUILD.star": deadly, "b/BUILD.star": IMAGE + 'image(name = "b")\n'},
    )
    with Workspace.open(str(tmp_path)) as workspace:
        with pytest.raises(BuildError) as raised:
            workspace.package("a")
        assert raised.value.code == "starlark-too-big"
        assert workspace.package("b").names == ("b",)


# ---------------------------------------------------------------- language


def test_names_of_primitives_may_be_used_otherwise(tmp_path: Path) -> None:
    text = (
        IMAGE
        + 'user = "app"\ndef files(n):\n    return [n]\nenv = files(user)\nimage(name = "x", user = env[0])\n'
    )
    make(tmp_path, {"BUILD.star": text})
    assert lower(tmp_path).config.user == "app"


def test_steps_are_values_that_any_file_may_hold(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "buildtool.toml": "",
            "common.star": 'PYTHON = [env({"A": "1"}), copy(["run.sh"], "/bin/")]\n',
            "app/BUILD.star": IMAGE + 'load("//:common.star", "PYTHON")\nimage(name = "x", steps = PYTHON)\n',
        },
    )
    image = lower(tmp_path, "//app:x")
    assert isinstance(image.rootfs, FileOp)
    (action,) = image.rootfs.actions
    assert isinstance(action, CopyAction)
    assert isinstance(action.source, LocalSource)
    assert action.source.folder == str(tmp_path / "app")
    assert image.rootfs.origin is not None
    assert str(image.rootfs.origin.span).startswith("common.star:1:")


def test_json_and_structs(tmp_path: Path) -> None:
    text = IMAGE + 'v = json.decode(json.encode(struct(a = "b")))\nimage(name = "x", env = v)\n'
    make(tmp_path, {"BUILD.star": text})
    assert ("A", "b") not in lower(tmp_path).config.env
    assert ("a", "b") in lower(tmp_path).config.env


# ---------------------------------------------------------------- lowering


def test_files_of_another_package_come_through_a_group(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "buildtool.toml": "",
            "BUILD.star": IMAGE + 'image(name = "x", steps = [copy(["own", "//lib:all-files"], "/d/")])\n',
            "lib/BUILD.star": 'package(default_visibility = ["//:__pkg__"])\n'
            'filegroup(name = "all-files", srcs = [":more", "b", "a[1]"])\n'
            'filegroup(name = "more", srcs = ["b", "c"])\n',
        },
    )
    image = lower(tmp_path)
    assert isinstance(image.rootfs, FileOp)
    own, group = image.rootfs.actions
    assert isinstance(own, CopyAction)
    assert isinstance(group, CopyAction)
    assert (own.paths, own.wildcards) == (("own",), True)
    assert (group.paths, group.wildcards) == (("b", "c", "a[1]"), False)
    assert isinstance(group.source, LocalSource)
    assert group.source.folder == str(tmp_path / "lib")


def test_a_layer_is_one_step(tmp_path: Path) -> None:
    text = (
        IMAGE
        + 'load("@rules//layer.star", "layer")\n'
        + 'layer(name = "l", srcs = ["a"], dest = "/opt", files = {"/bin/b": "b"},\n'
        + '    text = {"/etc/motd": "hi"}, symlinks = {"/bin/c": "b"},\n'
        + '    dirs = ["/empty"], owner = "app", mode = 0o750)\n'
        + 'image(name = "x", layers = [":l"])\n'
    )
    make(tmp_path, {"BUILD.star": text})
    image = lower(tmp_path)
    assert isinstance(image.rootfs, FileOp)
    assert image.rootfs.base is None
    kinds = [type(a).__name__ for a in image.rootfs.actions]
    assert kinds == ["MakeFolderAction", "CopyAction", "CopyAction", "CopyAction", "MakeLinkAction"]
    assert dump([lower(tmp_path, "//:l")]) == dump([image])


def test_mounts(tmp_path: Path) -> None:
    text = (
        IMAGE
        + 'image(name = "tools", steps = [copy(["t"], "/t")])\n'
        + 'image(name = "x", steps = [run("make", mounts = [bind_mount("/tools", ":tools"),\n'
        + '    bind_mount("/src", "src"), tmpfs_mount("/tmp", size = 10)])])\n'
    )
    make(tmp_path, {"BUILD.star": text})
    image = lower(tmp_path)
    assert isinstance(image.rootfs, Run)
    # In the order of their targets, as with RUN.
    src, _tmp, tools = image.rootfs.mounts
    assert isinstance(tools, BindMount)
    assert isinstance(tools.source, FileOp)
    assert isinstance(src, BindMount)
    assert (src.target, src.path) == ("/src", "/src")
    assert image.rootfs.network == "none"


def test_a_target_is_lowered_once(tmp_path: Path) -> None:
    text = (
        IMAGE
        + 'image(name = "base", steps = [run("a")])\n'
        + 'image(name = "x", base = ":base", steps = [copy(["/a"], "/b", from_ = ":base")])\n'
    )
    make(tmp_path, {"BUILD.star": text})
    image = lower(tmp_path)
    assert isinstance(image.rootfs, FileOp)
    (action,) = image.rootfs.actions
    assert isinstance(action, CopyAction)
    assert action.source is image.rootfs.base


def test_dockerfile_gets_paths_and_images(tmp_path: Path) -> None:
    text = (
        IMAGE
        + 'load("@rules//dockerfile.star", "dockerfile")\n'
        + 'image(name = "base", env = {"A": "1"})\n'
        + 'dockerfile(name = "x", dockerfile = "docker/Dockerfile", context = "src",\n'
        + '    build_args = {"V": "1"}, contexts = {"ubuntu:20.04": ":base", "data": "files"},\n'
        + '    target = "last")\n'
    )
    make(tmp_path, {"buildtool.toml": "", "app/BUILD.star": text})
    services = CannedServices()
    with Workspace.open(str(tmp_path)) as workspace:
        workspace.lower(Label("app", "x"), AMD64, 0, services)
        ((path, folder, contexts, build_args, target),) = services.dockerfiles
        assert isinstance(contexts, dict)
        assert ("A", "1") in contexts["ubuntu:20.04"](AMD64).config.env
    app = tmp_path / "app"
    assert (path, folder) == (str(app / "docker" / "Dockerfile"), str(app / "src"))
    assert contexts["data"] == str(app / "files")
    assert (build_args, target) == ({"V": "1"}, "last")


def test_a_base_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, {"BUILD.star": IMAGE + 'image(name = "x", base = "debian:12", cmd = ["a"])\n'})
    with Workspace.open(str(tmp_path)) as workspace:
        image = workspace.lower(Label("", "x"), AMD64, 0, CannedServices())
    assert image.config.env == (("PATH", "/bin"),)
    assert image.config.cmd == ("a",)


def test_a_damaged_memory_is_told() -> None:
    package = Package("a", ("x",), msgspec.Raw(b'[{"target": "image"}]'), {})
    with pytest.raises(BuildError) as caught:
        _ = package.targets
    assert caught.value.code == "bad-package"
    assert "//a is damaged" in caught.value.message
