"""A Dockerfile and a BUILD.star that mean the same: one graph, one digest.

Beside what is written here, all golden pairs are built; those with a RUN step have one graph, and
no base that could carry it out.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import GOLDEN
from tests.support.elsewhere import BACKEND, commit, web

BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")

pytestmark = [
    pytest.mark.skipif(BUSYBOX is None, reason="busybox-static is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="runs steps as root"),
]

DOCKERFILE = """\
FROM base
ENV A=1 B="two words"
COPY app.sh lib /srv/
COPY --chown=7:8 --chmod=0750 app.sh /srv/owned.sh
RUN --network=none echo "$A" > /srv/made && ln -s made /srv/link
WORKDIR /srv
USER 7:8
LABEL org.example.kind=twin
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/sh"]
CMD ["app.sh"]
"""

BUILD = """\
load("@rules//image.star", "image")

image(
    name = "app",
    base = "oci-layout://LAYOUT:1",
    steps = [
        env({"A": "1", "B": "two words"}),
        copy(["app.sh", "lib"], "/srv/"),
        copy(["app.sh"], "/srv/owned.sh", mode = "0750", owner = "7:8"),
        run('echo "$A" > /srv/made && ln -s made /srv/link'),
        workdir("/srv"),
        user("7:8"),
        label({"org.example.kind": "twin"}),
        expose([80, "53/udp"]),
        volume(["/data"]),
        stop_signal("SIGINT"),
        entrypoint(["/bin/sh"]),
        cmd(["app.sh"]),
    ],
)
"""


def buildtool(folder: Path, *args: str) -> str:
    env = {**os.environ, "BUILDTOOL_STORE": str(folder.parent / "store")}
    command = [sys.executable, "-m", "buildtool", *args]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    base.mkdir()
    assert BUSYBOX is not None
    shutil.copy(BUSYBOX, base / "busybox")
    (base / "Dockerfile").write_text("FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/ln\n")
    out = tmp_path / "layout"
    buildtool(base, "build", "-q", "-t", "base:1", "-o", f"type=oci,dest={out},tar=false", ".")
    return out


def test_twins_have_one_graph_and_one_digest(tmp_path: Path, layout: Path) -> None:
    folder = tmp_path / "app"
    (folder / "lib").mkdir(parents=True)
    (folder / "app.sh").write_text("echo hello\n")
    (folder / "lib" / "one").write_text("1\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "BUILD.star").write_text(BUILD.replace("LAYOUT", str(layout)))
    base = ("--build-context", f"base=oci-layout://{layout}:1")
    assert buildtool(folder, "graph", *base, ".") == buildtool(folder, "graph", ":app")
    by_file = buildtool(folder, "build", "-q", "--no-cache", *base, ".")
    by_rule = buildtool(folder, "build", "-q", "--no-cache", ":app")
    assert by_file == by_rule
    assert by_file.startswith("sha256:")


PAIRS = sorted(
    path.parent
    for path in (GOLDEN / "starlark" / "pairs").glob("*/Dockerfile")
    if "\nRUN " not in path.read_text()
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p.name)
def test_golden_pairs_have_one_digest(pair: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pair"
    shutil.copytree(pair, folder)
    (folder / "buildtool.toml").touch()
    (folder / "my-app.py").write_text("print(1)\n")
    (folder / "src").mkdir()
    (folder / "src" / "a.txt").write_text("a\n")
    (folder / "src" / "b").write_text("b\n")
    with tarfile.open(folder / "data.tar", "w") as archive:
        archive.add(folder / "src", "inner")
    if pair.name in ("copy-flags", "copy-text"):
        # Their owners have names, which are looked up in the image.
        names = (
            "\nCOPY <<passwd /etc/passwd\napp:x:7:7::/:\npasswd\nCOPY <<group /etc/group\nstaff:x:8:\ngroup\n"
        )
        text = (folder / "Dockerfile").read_text()
        (folder / "Dockerfile").write_text(text.replace("FROM scratch\n", f"FROM scratch{names}", 1))
        steps = 'files({"/etc/passwd": "app:x:7:7::/:\\n"}), files({"/etc/group": "staff:x:8:\\n"}),'
        text = (folder / "BUILD.star").read_text()
        (folder / "BUILD.star").write_text(text.replace("steps = [", f"steps = [{steps}", 1))
    by_file = buildtool(folder, "build", "-q", "--no-cache", ".")
    assert buildtool(folder, "build", "-q", "--no-cache", ":pair") == by_file
    assert by_file.startswith("sha256:")


@pytest.mark.skipif(not BACKEND.exists(), reason="git's HTTP backend is not installed")
def test_files_from_elsewhere_have_one_digest(tmp_path: Path) -> None:
    """ADD of a file, of an archive and of a repository, beside fetch(), archive() and git()."""
    folder, repository = tmp_path / "app", tmp_path / "served" / "app.git"
    folder.mkdir()
    (repository / "sub").mkdir(parents=True)
    (repository / "sub" / "run.sh").write_text("echo hello\n")
    head = commit(repository)
    with web(repository.parent) as served:
        served.files["tool"] = b"#!/bin/sh\n"
        remote = f"{served.url}/app.git/.git"
        (folder / "Dockerfile").write_text(f"FROM scratch\nADD {remote}#main:sub /src/\n")
        (folder / "BUILD.star").write_text(
            'load("@rules//archive.star", "fetch", "git")\n'
            'load("@rules//image.star", "image")\n\n'
            f'git(name = "repo", remote = "{remote}", ref = "main", subdir = "sub")\n'
            f'fetch(name = "tool", url = "{served.url}/tool")\n'
            'image(name = "app", steps = [copy([":repo"], "/src/")])\n'
            'image(name = "tools", steps = [copy([":tool"], "/bin/")])\n'
        )
        by_file = buildtool(folder, "build", "-q", ".")
        assert buildtool(folder, "build", "-q", "--locked", ":app") == by_file
        assert f'"{head}"' in (folder / "buildtool.lock").read_text()
        asked = len(served.asked)
        assert buildtool(folder, "build", "-q", "--locked", ":app") == by_file
        assert len(served.asked) == asked
        assert buildtool(folder, "build", "-q", ":tools").startswith("sha256:")
