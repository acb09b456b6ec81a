"""The files of /proc and /sys about processors, as programs read them."""

import re

import pytest

from buildtool.sandbox import cpus
from buildtool.sandbox.clock import build


@pytest.mark.parametrize("architecture", build.ARCHITECTURES)
def test_every_processor_has_a_block_of_its_own(architecture: str) -> None:
    text = cpus.files(architecture, 7)["/proc/cpuinfo"]
    blocks = text.split("\n\n")
    assert blocks.pop() == ""
    assert [block.splitlines()[0] for block in blocks] == [f"processor\t: {n}" for n in range(cpus.COUNT)]
    # glibc, psutil and others split at the colon.
    assert all(re.fullmatch(r"[A-Za-z _]+\t*: ?.*", row) for block in blocks for row in block.splitlines())


def test_the_counters_are_those_of_an_idle_machine_started_at_the_instant() -> None:
    rows = dict(row.split(maxsplit=1) for row in cpus.files("amd64", 315532800)["/proc/stat"].splitlines())
    each = [list(map(int, rows[f"cpu{n}"].split())) for n in range(cpus.COUNT)]
    assert [sum(column) for column in zip(*each, strict=True)] == list(map(int, rows["cpu"].split()))
    assert sum(each[0]) == each[0][3] > 0
    assert rows["btime"] == "315532800"
    assert f"cpu{cpus.COUNT}" not in rows


def test_the_lists_name_all_of_them() -> None:
    files = cpus.files("arm64", 0)
    lists = {path: text for path, text in files.items() if path.startswith("/sys/")}
    assert set(lists.values()) == {f"0-{cpus.COUNT - 1}\n"}
    assert {path.rpartition("/")[2] for path in lists} == {"online", "possible", "present"}
