"""A Dockerfile and a BUILD.star that mean the same: one graph, one digest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
