"""Provenance, bills of materials and statements beside an image in a real registry (docker-registry)."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """`HOST:PORT` of a registry on loopback, without TLS; it has no API for referrers, only the tags."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "registry.yml").write_text(_CONFIG.format(root=tmp_path / "registry", port=port))
    process = subprocess.Popen(
        [program, "serve", str(tmp_path / "registry.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def buildtool(folder: Path, machine: str, *arguments: str) -> str:
    """The output of a command on a machine that remembers what is in its own home alone."""
    kept = {k: v for k, v in os.environ.items() if k not in ("BUILDTOOL_STORE", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "buildtool", *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder.parent / machine)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_machines_meet_at_a_registry(registry: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (source / "file").write_text("content\n")
    name = f"{registry}/team/app:1"
    digest = buildtool(
        source, "a", "build", "-q", "--push", "--provenance", "--sbom", "-t", name, "."
    ).strip()
    told = buildtool(source, "a", "provenance", name)
    for machine in ("b", "c"):
        checkout = shutil.copytree(source, tmp_path / f"checkout-{machine}")
        assert buildtool(checkout, machine, "provenance", f"docker://{name}") == told
        assert "is what its provenance says" in buildtool(checkout, machine, "verify", f"docker://{name}")
        buildtool(checkout, machine, "keygen", f"../{machine}")
        options = ("--key", f"../{machine}.pem", "--attach", f"docker://{name}")
        buildtool(checkout, machine, "attest", *options, f"docker://{name}@{digest}")
    keys = ("--keys", "../b.pub", "--keys", "../c.pub", "--threshold", "2")
    (tmp_path / "d").mkdir()
    said = buildtool(
        tmp_path / "d", "d-home", "verify", "--statements", f"docker://{name}", *keys, f"docker://{name}"
    )
    assert f"  digest     {digest}\n" in said
    assert said.count("  counts     ") == 2
    assert buildtool(source, "a", "build", "-q", "-t", name, ".").strip() == digest
