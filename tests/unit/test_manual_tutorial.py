"""Every BUILD.star of the tutorial loads, is formatted, and breaks no rule."""

import re
from pathlib import Path

import pytest

from buildtool.frontends.starlark.formatting.format import formatted
from buildtool.frontends.starlark.lint.check import check
from buildtool.frontends.starlark.workspace import Workspace
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "manual" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: re.findall(r"^(\w+)\(", b, re.MULTILINE)[-1])
def test_a_file_of_the_tutorial(block: str, tmp_path: Path) -> None:
    library = block.startswith('"""')
    name = "service.star" if library else "BUILD.star"
    assert formatted(block.encode(), name) == block
    assert [f.rule.name for f in check(block.encode(), name).findings] == []
    (tmp_path / "buildtool.toml").write_text("[flags]\ndebug = false\n")
    (tmp_path / name).write_text(block)
    if library:
        use = 'load(":service.star", "service")\n\nservice(name = "a", port = 80, program = "a.sh")\n'
        (tmp_path / "BUILD.star").write_text(use)
    with Workspace.open(str(tmp_path)) as workspace:
        assert workspace.package("").targets


def test_the_tutorial_has_its_files() -> None:
    assert len(BLOCKS) == 6


def test_commands_of_the_tutorial_exist() -> None:
    from buildtool.cli.main import COMMANDS

    named = set(re.findall(r"^    buildtool (\w+)", TEXT, re.MULTILINE))
    assert named <= set(COMMANDS)
