"""Graphs as JSON and as pictures."""

import json

from buildtool.graph.draw import as_dot, as_json, as_mermaid
from buildtool.graph.model import (
    CopyAction,
    FileOp,
    Image,
    ImageConfig,
    LiteralFile,
    LiteralSource,
    Origin,
    Platform,
    Step,
)

SOURCE = LiteralSource((LiteralFile("a", b"\xff"),), origin=Origin('write "a" <b>'))
COPY = FileOp(None, (CopyAction(source=SOURCE, paths=("a",), dest="/a"),), 0)
ROOTS: list[Step] = [
    Image(COPY, ImageConfig(), Platform("linux", "amd64"), 0, origin=Origin("//:app " + "x" * 80))
]


def test_dot() -> None:
    rows = as_dot(ROOTS).splitlines()
    assert rows[0] == "digraph build {"
    assert rows[3:7] == [
        '  s0 [label="LiteralSource: write \\"a\\" <b>"];',
        '  s1 [label="FileOp"];',
        "  s1 -> s0;",
        f'  s2 [label="Image: //:app {"x" * 52}…"];',
    ]


def test_mermaid() -> None:
    rows = as_mermaid(ROOTS).splitlines()
    assert rows[:4] == [
        "flowchart BT",
        '  s0["LiteralSource: write &quot;a&quot; &lt;b>"]',
        '  s1["FileOp"]',
        "  s1 --> s0",
    ]


def test_json_has_every_field_and_names_inputs() -> None:
    document = json.loads(as_json(ROOTS))
    assert document["roots"] == ["s2"]
    source, copy, image = document["steps"]
    assert (source["id"], source["needs"], source["title"]) == ("s0", [], 'write "a" <b>')
    assert source["step"]["files"][0]["data"] == "bytes:\xff"
    assert copy["step"]["actions"][0]["source"] == "s0"
    assert (image["needs"], image["step"]["rootfs"]) == (["s1"], "s1")
