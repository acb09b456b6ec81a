"""Whole Dockerfiles of the kinds that people have: parsed, dumped, checked and lowered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.cli.findings import as_text
from buildtool.diag import PLAIN, Span
from buildtool.digest import Digest, sha256
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.check import check
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.dockerfile.sexpr import sexpr
from buildtool.graph.dump import dump
from buildtool.graph.model import Image, ImageConfig, ImageSource, Platform
from buildtool.lock.model import FilePin

CORPUS = Path(__file__).parents[3] / "golden" / "dockerfile" / "corpus"
PLATFORM = Platform("linux", "amd64")

every_file = pytest.mark.parametrize("path", sorted(CORPUS.glob("*/Dockerfile")), ids=lambda p: p.parent.name)


class Bases:
    """Every image, file and repository exists, and is its name."""

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        return Image(ImageSource(sha256(name.encode()), ()), ImageConfig(), platform, 0)

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        return FilePin(checksum or sha256(url.encode()), 0)

    def commit(self, url: str, ref: str, checksum: str) -> str:
        return sha256(f"{url}#{ref}".encode()).hex[:40]


def request(target: str = "") -> Request:
    return Request(folder="context", epoch=0, target=target, platform=PLATFORM, build_platform=PLATFORM)


@every_file
def test_it_dumps_as_s_expressions(path: Path, golden: Callable[[str, str], None]) -> None:
    golden(f"dockerfile/corpus/{path.parent.name}/sexpr.txt", sexpr(parse(path.read_bytes(), "Dockerfile")))


@every_file
def test_it_is_checked(path: Path, golden: Callable[[str, str], None]) -> None:
    found = check(path.read_bytes(), request())
    assert found.errors == ()
    golden(f"dockerfile/corpus/{path.parent.name}/lint.txt", as_text([found], PLAIN))


@every_file
def test_every_stage_is_lowered_the_same_way_each_time(path: Path) -> None:
    file = parse(path.read_bytes(), "Dockerfile")
    for stage in file.stages:
        target = stage.start.alias.text if stage.start.alias else ""
        images = [lower(file, request(target), Bases()).image for _ in range(2)]
        assert dump(images[:1]) == dump(images[1:])
    assert len(images[0].history) > 0


@every_file
def test_its_tree_survives_being_kept(path: Path) -> None:
    file = parse(path.read_bytes(), "Dockerfile")
    assert tree.decode(tree.encode(file)) == file


def test_there_are_a_dozen_at_least() -> None:
    assert len(list(CORPUS.glob("*/Dockerfile"))) >= 12
