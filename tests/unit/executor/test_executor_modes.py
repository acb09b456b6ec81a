"""chmod's modes, compared with what chmod itself does."""

import os
import subprocess
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.executor.steps.modes import changer, octal

MODES = [
    "u+x",
    "go-w",
    "a=r",
    "u=rwx,go=rx",
    "+X",
    "u+s",
    "g+s",
    "o=u",
    "g=o,u-w",
    "+t",
    "ug=rw,o=",
    "u=rwX,go=rX",
    "a-x+X",
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", [0o644, 0o755, 0o600, 0o4711, 0o2070])
@pytest.mark.parametrize("folder", [False, True])
def test_symbolic_modes_do_what_chmod_does(tmp_path: Path, mode: str, before: int, folder: bool) -> None:
    path = tmp_path / "x"
    if folder:
        path.mkdir()
    else:
        path.touch()
    os.chmod(path, before)
    subprocess.run(["chmod", mode, path], check=True, preexec_fn=lambda: os.umask(0))
    assert oct(changer(mode)(before, folder)) == oct(path.stat().st_mode & 0o7777)


def test_octal_modes_are_taken_as_they_are() -> None:
    assert changer("0640")(0o4777, False) == 0o640
    assert octal("4755") == 0o4755
    assert octal("u+x") is None


@pytest.mark.parametrize("mode", ["", "9", "u", "x+u", "u+q", "rwx", "u+x,", "0o644", "1234567"])
def test_what_is_no_mode(mode: str) -> None:
    with pytest.raises(BuildError, match="not a file mode"):
        changer(mode)
