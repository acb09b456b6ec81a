"""A workspace of 1,000 packages with 10 targets each: cold, and when nothing changed.

The bounds are on processor time, twice what it takes, because the machine may be busy.
"""

import resource
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from buildtool.frontends.starlark.workspace import Workspace

PACKAGES, TARGETS = 1_000, 10
TARGET = """
image(
    name = "t{number}",
    base = "debian:12",
    steps = [
        copy(["main.py"], "/app/"),
        run("pip install -r /app/requirements.txt", network = "default"),
    ],
    env = {{"A": "{number}"}},
    cmd = ["python", "/app/main.py"],
)
"""


class Kept(dict[str, bytes]):
    """A memory of packages in a dict."""

    def put(self, key: str, data: bytes) -> None:
        self[key] = data

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self[key] for key in keys if key in self}


def used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@pytest.mark.soak
def test_a_large_workspace(tmp_path: Path) -> None:
    text = 'load("@rules//image.star", "image")\n' + "".join(TARGET.format(number=n) for n in range(TARGETS))
    (tmp_path / "buildtool.toml").touch()
    for number in range(PACKAGES):
        folder = tmp_path / f"d{number % 40}" / f"p{number}"
        folder.mkdir(parents=True)
        (folder / "BUILD.star").write_text(text)
    memory = Kept()
    for bound in (10.0, 2.0):
        before = used()
        with Workspace.open(str(tmp_path), memory=memory) as workspace:
            assert len(workspace.targets("//...")) == PACKAGES * TARGETS
        assert used() - before < bound
