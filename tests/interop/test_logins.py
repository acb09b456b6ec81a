"""Every command that reads or writes a registry with the login of its command line (docker-registry)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.docker_registry import PASSWORD, USER, docker_registry

CREDS = f"--creds={USER}:{PASSWORD}"
HELLO = "FROM scratch\nCOPY file /\n"


class Machine:
    """A machine with a checkout, where nothing is known of other machines."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.checkout.mkdir(parents=True)
        (self.checkout / "Dockerfile").write_text(HELLO)
        (self.checkout / "file").write_text("content\n")
        self.folder = folder

    def run(self, *argv: str, status: int = 0) -> str:
        kept = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR")}
        env = {**kept, "HOME": str(self.folder), "BUILDTOOL_STORE": str(self.folder / "store")}
        done = subprocess.run(
            (sys.executable, "-m", "buildtool", *argv),
            cwd=self.checkout, env=env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == status, (argv, done.stdout + done.stderr)
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr


def test_every_command_with_a_login(tmp_path: Path) -> None:
    author, reader = Machine(tmp_path / "author"), Machine(tmp_path / "reader")
    with docker_registry(tmp_path / "registry", auth="basic") as address:
        name = f"{address}/team/app:1"
        place = f"docker://{name}"
        author.run("build", "-q", "--push", "--provenance", CREDS, "-t", name, ".")
        reader.run("keygen", "key")
        attest = ("attest", "--key", "key.pem", "--attach", place, place)
        commands: list[tuple[str, ...]] = [
            ("provenance", place),
            ("sbom", place),
            ("diff", place, place),
            ("export", "-o", "files", place),
            ("verify", place),
            attest,
            ("verify", "--statements", place, "--keys", "key.pub", place),
        ]
        for command in commands:
            refused = reader.run(*command, status=1)
            assert "registry-denied" in refused
            reader.run(*command, CREDS)
        reader.run("diff", place, "docker://other.example/app", CREDS, status=2)
        kept = [path.read_bytes() for path in reader.folder.rglob("*") if path.is_file()]
        assert not any(PASSWORD.encode() in data for data in kept)


@pytest.mark.parametrize("command", [("verify", "--rounds", "0"), ("graph",), ("lock",)])
def test_options_reach_the_builds_inside(command: tuple[str, ...], tmp_path: Path) -> None:
    """Of a base image that takes a login: the file of logins is enough, also in the worlds of `verify`."""
    author, reader = Machine(tmp_path / "author"), Machine(tmp_path / "reader")
    with docker_registry(tmp_path / "registry", auth="basic") as address:
        author.run("build", "-q", "--push", CREDS, "-t", f"{address}/base:1", ".")
        author.run("login", address, "-u", USER, "-p", PASSWORD, "--authfile", str(tmp_path / "auth.json"))
        (reader.checkout / "Dockerfile").write_text(f"FROM {address}/base:1\nCOPY file /again\n")
        assert "registry-denied" in reader.run(*command, "--retry=0", ".", status=1)
        assert "here are none" in reader.run(*command, CREDS, ".", status=2), "a Dockerfile names it alone"
        reader.run(*command, "--authfile", str(tmp_path / "auth.json"), ".")
