"""What a person reads for each mistake.  ACCEPT=1 writes the texts anew; read them by eye."""

import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError, Span, render
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.graph.model import Image, Platform

CASES = Path(__file__).parents[3] / "golden" / "dockerfile" / "errors"


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        from buildtool.frontends.dockerfile.reference import familiar

        raise BuildError("unknown-image", f"no image {familiar(name)}")


def problem_of(data: bytes, target: str) -> BuildError:
    try:
        lower(parse(data, "Dockerfile"), Request(folder="context", epoch=0, target=target), NoBases())
    except BuildError as error:
        return error
    pytest.fail("nothing is wrong with it")


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda p: p.name)
def test_error(case: Path) -> None:
    target = case / "target"
    found = problem_of(
        (case / "Dockerfile").read_bytes(), target.read_text().strip() if target.exists() else ""
    )
    assert found.exit_status == 2
    text = render(found) + "\n"
    if os.environ.get("ACCEPT"):
        (case / "expected.txt").write_text(text)
    assert text == (case / "expected.txt").read_text()
