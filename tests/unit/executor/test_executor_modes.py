"""chmod's modes: compared with what chmod itself does where BuildKit agrees, and where it does not."""

import os
import subprocess
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.executor.steps.modes import changer, octal

MODES = [
    "u+x",
    "go-w",
    "u+rw,g+r,o-x,o+w",
    "+X",
    "u+s",
    "g+s",
    "+t",
    "a-x",
    "g+u,o-g",
    "+",
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


@pytest.mark.parametrize(
    ("mode", "folder", "before", "after"),
    [
        # X counts behind + alone, and looks at the mode before the first clause.
        ("u=rwX,go=rX", True, 0o755, 0o644),
        ("u=rwX,go=rX", False, 0o755, 0o644),
        ("=rw,+X", False, 0o700, 0o777),
        ("=rw,+X", False, 0o600, 0o666),
        ("a-x+X", False, 0o755, 0o755),
        ("-X", True, 0o777, 0o777),
        # = takes set-id bits away, also from folders, and never the sticky bit.
        ("u=rwx,go=rx", True, 0o6777, 0o755),
        ("a=rx", True, 0o1777, 0o1555),
        ("=", False, 0o7777, 0o1000),
        # Letters that copy stand among others, and leave the set-id bits.
        ("g=u", False, 0o2640, 0o2660),
        ("u=g-w", False, 0o762, 0o462),
        ("go=u-w", False, 0o770, 0o755),
        ("u+go", False, 0o021, 0o321),
        ("u=rg", False, 0o020, 0o220),
        ("u=gx", False, 0o060, 0o160),
        ("o+r,g+w,a+t,g-s,u+og", True, 0o6000, 0o5624),
        # s and t are nothing to others alone; t without a who leaves nothing else.
        ("o+st", False, 0o644, 0o644),
        ("+rt", False, 0o000, 0o1000),
    ],
)
def test_symbolic_modes_are_those_of_bsd(mode: str, folder: bool, before: int, after: int) -> None:
    assert oct(changer(mode)(before, folder)) == oct(after)


def test_octal_modes_are_taken_as_they_are() -> None:
    assert changer("0640")(0o4777, False) == 0o640
    assert octal("4755") == 0o4755
    assert octal("u+x") is None


@pytest.mark.parametrize("mode", ["", "9", "u", "x+u", "u+q", "rwx", "u+x,", "0o644", "1234567"])
def test_what_is_no_mode(mode: str) -> None:
    with pytest.raises(BuildError, match="not a file mode"):
        changer(mode)
