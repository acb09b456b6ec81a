"""A process's own folder: it is had even where sweeps of others take what has just been made."""

import os
from pathlib import Path

import pytest

from buildtool.store.scratch import Scratch, sweep_scratch


def test_a_sweep_between_making_and_opening_takes_nothing_that_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []
    mkdir = os.mkdir

    def made_and_swept(path: str, mode: int) -> None:
        mkdir(path, mode)
        if not swept:
            swept.append(sweep_scratch(str(tmp_path)))

    monkeypatch.setattr(os, "mkdir", made_and_swept)
    scratch = Scratch(str(tmp_path))
    name = scratch.name("blob")
    assert swept == [1]
    assert os.path.isdir(os.path.dirname(name))
    scratch.close()
    assert os.listdir(tmp_path) == []
