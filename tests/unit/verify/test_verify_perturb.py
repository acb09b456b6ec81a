"""Perturbations: chosen by name, added up, and entered for real."""

import json
import os
import subprocess
import sys

import pytest

from buildtool.diag import BuildError
from buildtool.verify.perturb import PERTURBATIONS, Surroundings, choose, together, variable


def entered(world: dict[str, object], program: str) -> str:
    """What a Python program prints in a world."""
    command = [
        sys.executable,
        "-m",
        "buildtool.verify.enter",
        json.dumps(world),
        sys.executable,
        "-c",
        program,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_all_are_chosen_where_none_is_named() -> None:
    assert choose([]) == PERTURBATIONS
    assert [p.name for p in choose(["umask,zone", "order"])] == ["zone", "order", "umask"]
    assert {p.name for p in PERTURBATIONS} - {p.name for p in choose(["-user,-clock"])} == {"user", "clock"}


def test_an_unknown_one_is_refused_with_its_neighbour() -> None:
    with pytest.raises(BuildError, match="no perturbation 'unmask'") as caught:
        choose(["unmask"])
    assert caught.value.hint == "did you mean umask?"


def test_a_variable_of_the_users_has_another_value() -> None:
    assert variable("A=b=c, d").world(3) == Surroundings(env={"A": "b=c, d"})
    assert variable("A=").world(0) == Surroundings(env={"A": ""})
    for text in ("A", "=b", ""):
        with pytest.raises(BuildError, match="is not NAME=VALUE"):
            variable(text)


def test_together_they_differ_in_every_respect() -> None:
    world = together([Surroundings(env={"A": "1"}, umask=0o077), Surroundings(env={"B": None}, jobs=8)])
    assert world == Surroundings(env={"A": "1", "B": None}, umask=0o077, jobs=8)
    kinds = [p.world(0).personality for p in choose(["kernel,addresses"])]
    assert together(p.world(0) for p in choose(["kernel,addresses"])).personality == sum(kinds)
    assert together([]) == Surroundings()
    assert all(p.world(n) != Surroundings() for p in PERTURBATIONS for n in range(3))


def test_rounds_take_turns() -> None:
    (jobs,) = choose(["jobs"])
    assert [jobs.world(n).jobs for n in range(3)] == [1, 8, 1]


def test_what_a_process_can_change_is_changed() -> None:
    assert entered({"umask": 0o027}, "import os; print(os.umask(0))") == str(0o027)
    assert entered({"cpus": 1}, "import os; print(len(os.sched_getaffinity(0)))") == "1"
    assert entered({"nice": 3}, "import os; print(os.nice(0))") == str(os.nice(0) + 3)
    limits = [["RLIMIT_NOFILE", 200]]
    assert (
        entered({"limits": limits}, "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE)[0])") == "200"
    )
    assert entered({"personality": 0x20000}, "import os; print(os.uname().release)").startswith("2.6.")
    assert entered({}, "import os; print(os.uname().release)") == os.uname().release
    program = "import os; print(os.environ.get('A'), 'HOME' in os.environ)"
    assert entered({"env": {"A": "b", "HOME": None}}, program) == "b False"


@pytest.mark.root
def test_what_root_can_change_is_changed() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert entered({"hostname": "elsewhere"}, "import os; print(os.uname().nodename)") == "elsewhere"
    assert os.uname().nodename != "elsewhere"
    assert entered({"user": [12345, 23456]}, "import os; print(os.getresuid(), os.getgroups())") == (
        "(12345, 12345, 12345) []"
    )
