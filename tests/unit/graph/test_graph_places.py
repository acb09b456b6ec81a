"""What the processes of a stage are called in a lock."""

from dataclasses import replace

from buildtool.graph.keys import definition_keys
from buildtool.graph.model import Origin, Platform, Run
from buildtool.graph.stage import Stage

LINUX = Platform("linux", "amd64")


def _places(stage: Stage, *commands: str) -> list[str]:
    found = []
    for command in commands:
        stage = stage.run((command,), origin=Origin(f"RUN {command}", None, "app"))
        assert isinstance(stage.rootfs, Run)
        found.append(stage.rootfs.place)
    return found


def test_processes_are_counted_whatever_they_do() -> None:
    stage = Stage.scratch(LINUX, 0)
    assert _places(stage, "/a", "/b") == ["app 1 linux/amd64", "app 2 linux/amd64"]
    assert _places(stage, "/other", "/b") == ["app 1 linux/amd64", "app 2 linux/amd64"]


def test_a_stage_on_top_of_another_counts_anew() -> None:
    first = Stage.scratch(LINUX, 0).run(("/a",))
    assert _places(Stage.of(first.image(), 0), "/b") == ["app 1 linux/amd64"]


def test_the_file_of_a_stage_is_in_the_name_where_there_are_several() -> None:
    stage = replace(Stage.scratch(LINUX, 0), scope="web/Dockerfile")
    assert _places(stage, "/a") == ["web/Dockerfile app 1 linux/amd64"]


def test_a_name_is_no_part_of_the_step() -> None:
    one, other = (Stage.scratch(LINUX, 0).run(("/a",), origin=Origin("x", None, name)) for name in ("p", "q"))
    keys = []
    for stage in (one, other):
        assert stage.rootfs is not None
        keys.append(definition_keys([stage.rootfs])[id(stage.rootfs)])
    assert keys[0] == keys[1]
