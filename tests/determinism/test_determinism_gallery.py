"""The gallery: steps that are not reproducible, each for one cause that has to be named, and steps that are.

Every folder of `gallery/differs` and of `gallery/same` is a case, a target of one workspace, which
`buildtool verify` builds twice, the second time with all perturbations.  What the sandbox shuts out
comes in through a secret, whose variable is perturbed, too.  `expected.txt` has the paths that
differ, each with its causes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.support.determinism_worlds import ROOT

pytestmark = pytest.mark.network

GALLERY = Path(__file__).parent / "gallery"
EPOCH = "1680000000"


def _cases(kind: str) -> list[str]:
    return sorted(path.parent.name for path in (GALLERY / kind).glob("*/Dockerfile"))


def _workspace(folder: Path, kind: str, base: Path) -> Path:
    """A workspace with the cases of a kind, each a target, in a folder that anyone may read."""
    made = folder / "workspace"
    shutil.copytree(GALLERY / kind, made)
    (made / "buildtool.toml").write_text("")
    (made / "BUILD.star").write_text(_build_file(_cases(kind), f"oci-layout://{base}"))
    subprocess.run(["chmod", "-R", "a+rX", str(made)], check=True)
    return made


def _build_file(cases: list[str], base: str) -> str:
    contexts = json.dumps({"base": base})
    return 'load("@rules//dockerfile.star", "dockerfile")\n' + "".join(
        f'dockerfile("{case}", "{case}/Dockerfile", context = "{case}", contexts = {contexts})\n'
        for case in cases
    )


def _verify(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`buildtool verify` where the first world is that of first.env and the second that of second.env."""
    first, second = ((GALLERY / f"{world}.env").read_text() for world in ("first", "second"))
    world = ("--secret=id=world,env=WORLD", f"--perturb-env=WORLD={second}", "--allow=security.insecure")
    command = [
        sys.executable,
        "-m",
        "buildtool",
        "verify",
        *world,
        f"--source-date-epoch={EPOCH}",
        "--no-lock",
    ]
    return subprocess.run(
        [*command, *arguments],
        cwd=workspace,
        env={**os.environ, "WORLD": first, "PYTHONPATH": str(ROOT), "BUILDTOOL_STORE": f"{workspace}-store"},
        capture_output=True,
        text=True,
        timeout=900,
    )


def _places(comparison: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where images differ: the entries of layers, and what else differs as a whole."""
    for top in comparison["differences"]:
        inside = top.get("inside", []) if top["kind"] == "layer" else []
        yield from inside or [top]


def _findings(difference: dict[str, Any]) -> dict[str, str]:
    """What was found of a place and of what is within it: the evidence by cause."""
    found = {finding["cause"]: finding["evidence"] for finding in difference.get("findings", [])}
    for inner in difference.get("inside", []):
        found |= _findings(inner)
    return found


def _expected(case: str) -> list[tuple[str, list[str]]]:
    text = (GALLERY / "differs" / case / "expected.txt").read_text()
    rows = (row.partition(": ") for row in text.splitlines())
    return sorted((pattern, sorted(causes.split())) for pattern, _, causes in rows)


def _is_expected(case: str, seen: list[tuple[str, dict[str, str]]]) -> bool:
    wanted = _expected(case)
    return len(seen) == len(wanted) and all(
        fnmatch(path, pattern) and sorted(findings) == causes
        for (path, findings), (pattern, causes) in zip(sorted(seen), wanted, strict=True)
    )


def test_what_is_not_reproducible_is_found_and_its_cause_named(disk: Path, base: Path) -> None:
    done = _verify(_workspace(disk, "differs", base), "//...", "--no-bisect", "--format=json")
    assert done.returncode == 1, done.stdout + done.stderr
    seen = {
        one["target"].removeprefix("//:"): [(place["where"], _findings(place)) for place in _places(one)]
        for one in json.loads(done.stdout)["differences"]
    }
    assert sorted(seen) == _cases("differs")
    wrong = {case: (found, _expected(case)) for case, found in seen.items() if not _is_expected(case, found)}
    assert not wrong


def test_what_is_reproducible_is_silent(disk: Path, base: Path) -> None:
    done = _verify(_workspace(disk, "same", base), "//...")
    assert done.returncode == 0, done.stdout + done.stderr
    first, *rows = done.stdout.splitlines()
    assert first == "//... is reproducible"
    assert [row.split()[-1] for row in rows if row.startswith("  digest")] == [
        f"//:{c}" for c in _cases("same")
    ]


def test_the_gallery_has_enough_of_both() -> None:
    assert len(_cases("differs")) >= 25
    assert len(_cases("same")) >= 25
