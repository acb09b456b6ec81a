"""Builds whose steps ask an internet on the loopback device, by the command line."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buildtool.lock.model import Lock
from buildtool.lock.read import read
from tests.support.upstream import Outside

ROOT = Path(__file__).resolve().parents[2]
BUSYBOX = shutil.which("busybox", path="/bin:/usr/bin")
BASE = """\
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS app
"""


@dataclass
class Project:
    """A folder with a Dockerfile and a lock, and a store; what is outside is what `outside` has."""

    folder: Path
    outside: Outside
    store: str = "store"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        assert BUSYBOX is not None
        shutil.copy(BUSYBOX, self.folder / "busybox")
        (self.folder / ".dockerignore").write_text("*\n!busybox\n")

    def write(self, *steps: str) -> None:
        """A Dockerfile of steps on top of busybox."""
        (self.folder / "Dockerfile").write_text(BASE + "".join(f"{step}\n" for step in steps))

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Begin a command of buildtool in the folder."""
        port = self.outside.port
        proxies = {f"{scheme}_proxy": f"http://127.0.0.1:{port}" for scheme in ("http", "https")}
        trusted = str(self.folder.parent / "trust.pem")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "BUILDTOOL_STORE": str(self.folder.parent / self.store),
            "SSL_CERT_FILE": trusted,
            **proxies,
            **self.environment,
        }
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "buildtool", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, fails: int = 0, prefix: tuple[str, ...] = ()) -> str:
        """What a command says, which ends with the status `fails`."""
        process = self.start(*arguments, prefix=prefix)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == fails, said
        return said

    def build(self, *options: str, fails: int = 0, prefix: tuple[str, ...] = ()) -> str:
        """What a build says."""
        return self.run("build", ".", "--progress=plain", *options, fails=fails, prefix=prefix)

    def digest(self, *options: str, prefix: tuple[str, ...] = ()) -> str:
        """The digest of the image."""
        self.build("--iidfile", "../iid", *options, prefix=prefix)
        return (self.folder.parent / "iid").read_text()

    def metadata(self, *options: str) -> dict[str, Any]:
        """What the metadata file says of the image."""
        self.build("--metadata-file", "../metadata", *options)
        found: dict[str, Any] = json.loads((self.folder.parent / "metadata").read_text())
        return found

    @property
    def lock_path(self) -> Path:
        return self.folder / "buildtool.lock"

    @property
    def lock(self) -> Lock:
        return read(str(self.lock_path))

    def body(self, digest: str) -> Path:
        """The file that holds a blob of the store."""
        return self.folder.parent / self.store / "blobs" / "sha256" / digest.removeprefix("sha256:")
