"""The workflows in examples/ci are YAML of the form that their hosts take, and say commands that exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import tomli
import yaml

from buildtool.cli import main

CI = Path(__file__).resolve().parents[2] / "examples" / "ci"
WORKFLOWS = sorted(CI.glob("*.yml"))


def scripts(node: Any) -> Iterator[str]:
    """Every line of every script in a workflow, of either host."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script", "before_script"):
                rows = value if isinstance(value, list) else value.splitlines()
                yield from rows
            else:
                yield from scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from scripts(item)


def commands(path: Path) -> list[list[str]]:
    """The arguments of every `buildtool` that a workflow runs."""
    rows = [row for row in scripts(yaml.safe_load(path.read_text())) if row.startswith("buildtool ")]
    return [shlex.split(re.sub(r"\$\{\{.*?\}\}", "X", row))[1:] for row in rows]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_commands_and_their_options_exist(path: Path) -> None:
    found = commands(path)
    assert {words[0] for words in found} >= {"build", "verify", "attest"}
    for name, *words in found:
        context = click.Context(main.group, info_name="buildtool")
        command = main.group.get_command(context, name)
        assert command is not None, name
        inner = click.Context(command, info_name=name, parent=context)
        values, rest, _ = command.make_parser(inner).parse_args(words)
        assert not rest
        assert values.get("what") or values.get("place"), f"{name} has no subject"


def test_github_actions() -> None:
    document = yaml.safe_load((CI / "github-actions.yml").read_text())
    # YAML 1.1 takes the key `on` for a truth value; GitHub does not.
    assert document[True]["push"] == {"branches": ["main"]}
    jobs = document["jobs"]
    for job in jobs.values():
        assert {job["needs"]} <= jobs.keys() if "needs" in job else True
        assert job["runs-on"]
        for step in job["steps"]:
            assert len(step.keys() & {"run", "uses"}) == 1
    assert jobs["rebuild"]["needs"] == "build"
    assert jobs["accept"]["needs"] == "rebuild"


def test_gitlab() -> None:
    document = yaml.safe_load((CI / "gitlab-ci.yml").read_text())
    stages = document.pop("stages")
    for name in ("default", "variables"):
        document.pop(name)
    for name, job in document.items():
        merged = {**document.get(job.get("extends", name), {}), **job}
        assert merged["stage"] in stages
        assert merged["script"]
        assert set(merged.get("needs", [])) <= document.keys()


def test_keys() -> None:
    document = tomli.loads((CI / "keys.toml").read_text())
    assert document["keys"].keys() == {"alpha", "beta"}
    assert "ci/keys.toml" in (CI / "README.md").read_text()
