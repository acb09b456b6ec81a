"""Where an image comes from: told the same each time, and enough to make it again elsewhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from buildtool.cli.parameters import work_again
from buildtool.diag import BuildError
from tests.support.elsewhere import web

BUSYBOX = shutil.which("busybox")

DOCKERFILE = """FROM scratch AS files
ARG GREETING=none
COPY busybox app.txt /bin/
RUN ["/bin/busybox", "sh", "-c", "echo $GREETING > /greeting"]
FROM files AS last
ENV A=b
"""


def buildtool(folder: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line on a machine of its own: `home` is all that it remembers."""
    env = {k: v for k, v in os.environ.items() if k not in ("BUILDTOOL_STORE", "XDG_CACHE_HOME")}
    return subprocess.run(
        [sys.executable, "-m", "buildtool", *arguments],
        cwd=folder,
        env={**env, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if BUSYBOX is None:
        pytest.skip("busybox is not installed")
    made = tmp_path / "context"
    made.mkdir()
    shutil.copy(BUSYBOX, made / "busybox")
    (made / "app.txt").write_text("app\n")
    (made / "Dockerfile").write_text(DOCKERFILE)
    return made


def test_a_machine_that_never_saw_the_build_verifies_the_image(folder: Path, tmp_path: Path) -> None:
    options = ("--build-arg", "GREETING=hello", "--label", "l=1", "--annotation", "a=2", "--target", "files")
    options += ("--source-date-epoch", "1600000000", "-o", "type=oci,dest=../out,tar=false,compression=zstd")
    built = buildtool(folder, tmp_path / "a", "build", "-q", "-t", "app", "--provenance", *options, ".")
    assert built.returncode == 0, built.stderr
    digest = built.stdout.strip()
    told = buildtool(folder, tmp_path / "a", "provenance", "app")
    again = buildtool(folder, tmp_path / "a", "provenance", "oci:../out")
    assert told.stdout == again.stdout
    asked = json.loads(told.stdout)["predicate"]["buildDefinition"]["externalParameters"]
    assert asked == {
        "annotations": {"a": "2"},
        "args": {"GREETING": "hello"},
        "compression": "zstd",
        "dockerfile": "Dockerfile",
        "labels": {"l": "1"},
        "platforms": asked["platforms"],
        "sourceDateEpoch": 1600000000,
        "target": "files",
    }
    elsewhere = tmp_path / "elsewhere" / "checkout"
    shutil.copytree(folder, elsewhere)
    verified = buildtool(elsewhere, tmp_path / "b", "verify", f"oci:../../out@{digest}")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.splitlines()[1] == f"  digest     {digest}"
    (elsewhere / "app.txt").write_text("another\n")
    changed = buildtool(tmp_path, tmp_path / "b", "verify", "oci:out", "--source", str(elsewhere))
    assert changed.returncode == 1
    assert "because    files app.txt, busybox: " in changed.stdout


def test_provenance_does_not_depend_on_where_it_was_built(folder: Path, tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two"):
        place = tmp_path / name / "deep" / name
        shutil.copytree(folder, place)
        secret = tmp_path / f"secret-{name}"
        secret.write_text(f"canary-{name}")
        options = (
            "--secret",
            f"id=s,src={secret}",
            "--build-arg",
            f"HTTP_PROXY=http://me:canary@{name}.example",
        )
        context = ("--build-context", f"extra={place}", "--build-arg", "GREETING=https://u:canary@host/x")
        done = buildtool(place, tmp_path / name / "home", "build", "-q", "-t", name, *options, *context, ".")
        assert done.returncode == 0, done.stderr
        seen.append(buildtool(place, tmp_path / name / "home", "provenance", name).stdout)
    assert seen[0] == seen[1]
    for word in ("canary", str(tmp_path), os.uname().nodename, "example"):
        assert word not in seen[0]
    asked = json.loads(seen[0])["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["secrets"] == ["s"]
    assert asked["args"] == {"GREETING": "https://host/x"}
    assert asked["contexts"] == {"extra": "."}


def test_inputs_from_elsewhere_are_named_by_their_digest(folder: Path, tmp_path: Path) -> None:
    with web() as served:
        served.files["f"] = b"one\n"
        (folder / "Dockerfile").write_text(f"FROM scratch\nADD {served.url}/f?token=canary&v=1 /f\n")
        done = buildtool(folder, tmp_path / "a", "build", "-q", "-t", "app", ".")
        assert done.returncode == 0, done.stderr
        told = json.loads(buildtool(folder, tmp_path / "a", "provenance", "app").stdout)
        (found,) = told["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert found["uri"].startswith(f"{served.url}/f?")
        assert "canary" not in found["uri"]
        assert found["digest"] == {
            "sha256": "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
        }


def test_what_has_no_provenance(folder: Path, tmp_path: Path) -> None:
    unknown = "sha256:" + "0" * 64
    done = buildtool(folder, tmp_path / "a", "verify", f"app@{unknown}")
    assert done.returncode == 2
    assert "nothing is known of where" in done.stderr
    (tmp_path / "p.json").write_text("{}")
    done = buildtool(folder, tmp_path / "a", "verify", f"app@{unknown}", "--provenance", "../p.json")
    assert done.returncode == 2
    assert "this is not an in-toto statement" in done.stderr


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"dockerfile": "../../etc/passwd"}, "'../../etc/passwd' of the provenance is not among the sources"),
        ({"contexts": {"base": "/etc"}}, "'/etc' of the provenance is not among the sources"),
        (
            {"contexts": {"base": "oci-layout:///etc/images"}},
            "a parameter 'contexts' that no build of ours has",
        ),
        ({"contexts": {"base": "file:///etc"}}, "a parameter 'contexts' that no build of ours has"),
        ({"context": "/etc"}, "a parameter 'context' that no build of ours has"),
        ({"context": "file:///srv/x.git"}, "a parameter 'context' that no build of ours has"),
        ({"network": "host"}, "the network of its host"),
        ({"contexts": {"base": ""}}, "the named context 'base' of another machine"),
        ({"secrets": ["token"]}, "the secret 'token'"),
        ({"allow": ["security.insecure"]}, "--allow security.insecure"),
        ({"label": "--output=/etc"}, "a parameter 'label' that no build of ours has"),
        ({"context": "https://me:pw@host/x.git"}, "a parameter 'context' that no build of ours has"),
        ({"args": {"A": 1}}, "a parameter 'args' that no build of ours has"),
        ({"flags": "x"}, "a parameter 'flags' that no build of ours has"),
    ],
)
def test_a_provenance_from_a_stranger_chooses_nothing_of_this_machine(
    parameters: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BuildError) as caught:
        work_again(parameters, str(tmp_path), ())
    assert said in caught.value.message


def test_who_rebuilds_gives_what_a_provenance_cannot_hold(tmp_path: Path) -> None:
    given = ("--secret", "id=token,src=/x", "--allow", "network.host", "--build-context", "base=/etc")
    parameters = {
        "secrets": ["token"],
        "allow": ["network.host"],
        "contexts": {"base": ""},
        "network": "host",
    }
    work = work_again(parameters, str(tmp_path), given)
    assert work.arguments == ("--source-date-epoch", "0", "--network", "host", *given)
    assert work.dockerfile == str(tmp_path / "Dockerfile")
