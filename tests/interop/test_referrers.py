"""Provenance, bills of materials and statements beside an image in a real registry (docker-registry)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


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
