"""What differs between two builds, and which step it lies in."""

from collections.abc import Iterator
from dataclasses import replace

from buildtool.graph.account import Entry, account, changes
from buildtool.graph.model import (
    CopyAction,
    FileOp,
    Image,
    LiteralFile,
    LiteralSource,
    LocalSource,
    Origin,
    Platform,
    Run,
    Step,
)
from buildtool.graph.stage import Stage

AMD64 = Platform("linux", "amd64")


def graph(*, text: bytes = b"1", command: str = "make", env: str = "1", mode: str | None = None) -> Image:
    local = LocalSource(("src",), origin=Origin("copy src"))
    literal = LiteralSource((LiteralFile("motd", text),), origin=Origin("files motd"))
    stage = Stage.scratch(AMD64, 0)
    stage = stage.files(CopyAction(local, ("src",), "/src", mode=mode), origin=Origin("copy src to /src"))
    stage = stage.files(CopyAction(literal, ("motd",), "/motd"), origin=Origin("files motd"))
    stage = stage.run(("sh", "-c", command), network="none", mounts=(), origin=Origin(f"run {command}"))
    return stage.env(("A", env)).image(origin=Origin("//:app"))


def told(
    old: Step, new: Step, before: str = "a", after: str = "a"
) -> list[tuple[str, tuple[str, ...], bool]]:
    def files(_: Entry, __: Entry) -> Iterator[str]:
        yield "src/a: changed"

    found = changes(account(old, lambda _: before), account(new, lambda _: after), files)
    return [(c.entry.title, c.reasons, c.inherited) for c in found]


def test_nothing_changed() -> None:
    assert told(graph(), graph()) == []


def test_a_file_changed() -> None:
    found = told(graph(), graph(), after="b")
    assert found[0] == ("files src", ("src/a: changed",), False)
    assert [(title, inherited) for title, _, inherited in found[1:]] == [
        ("copy src to /src", True),
        ("files motd", True),
        ("run make", True),
        ("//:app", True),
    ]
    assert found[1][1] == ("its input changed: files src",)


def test_fields_changed() -> None:
    found = [row for row in told(graph(), graph(mode="755", env="2")) if not row[2]]
    assert found[0] == ("copy src to /src", ("actions[0].mode: None -> '755'",), False)
    assert found[1][0] == "//:app"
    assert "config.env" in found[1][1][0]


def test_a_literal_is_told_by_its_digest() -> None:
    first = told(graph(), graph(text=b"22"))[0]
    assert first[0] == "files motd"
    assert first[1][0].startswith("files[0].data: '1 bytes ")


def test_a_new_step() -> None:
    image = graph()
    assert image.rootfs is not None
    bare = replace(image, rootfs=image.rootfs.base if isinstance(image.rootfs, Run | FileOp) else None)
    assert ("run make", ("it was not part of the build",), False) in told(bare, image)
