"""A Dockerfile and the BUILD.star that means the same have one graph.

Each folder of tests/golden/starlark/pairs is a pair: its Dockerfile and its target `:pair`.
"""

from pathlib import Path

import pytest

from buildtool.diag import Span
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.starlark.labels import Label
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.dump import dump
from buildtool.graph.model import Image, Platform
from tests.support.starlark_services import NoServices

PAIRS = Path(__file__).parents[3] / "golden" / "starlark" / "pairs"
PLATFORM = Platform("linux", "amd64")


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise AssertionError(name)


@pytest.mark.parametrize("name", sorted(p.name for p in PAIRS.iterdir()))
def test_pair_has_one_graph(name: str) -> None:
    folder = PAIRS / name
    file = parse((folder / "Dockerfile").read_bytes(), "Dockerfile")
    docker = lower(file, Request(folder=str(folder), epoch=315532800), NoBases()).image
    with Workspace(str(folder), "", {}, None) as workspace:
        starlark = workspace.lower(Label("", "pair"), PLATFORM, 315532800, NoServices())
    assert dump([starlark]) == dump([docker])
