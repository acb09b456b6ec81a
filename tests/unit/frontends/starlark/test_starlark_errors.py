"""What a person reads when a BUILD file is wrong, a folder of tests/golden/starlark/errors each.

A folder is a workspace; building its target `//:x` fails with the text in expected.txt.
Write the texts with `pytest --accept`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError, render
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.model import Platform
from tests.support.starlark_services import NoServices

ERRORS = Path(__file__).parents[3] / "golden" / "starlark" / "errors"


def build(folder: Path) -> None:
    with Workspace.open(str(folder)) as workspace:
        workspace.lower(workspace.label("//:x"), Platform("linux", "amd64"), 0, NoServices())


@pytest.mark.parametrize("name", sorted(p.name for p in ERRORS.iterdir()))
def test_error_reads_as_expected(name: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    # Elsewhere, because the checkout is a workspace too.
    folder = Path(shutil.copytree(ERRORS / name, tmp_path / "w"))
    with pytest.raises(BuildError) as raised:
        build(folder)
    assert raised.value.exit_status == 2
    golden(f"starlark/errors/{name}/expected.txt", render(raised.value) + "\n")
