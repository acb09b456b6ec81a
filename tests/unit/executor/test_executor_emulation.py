"""Which architectures run here."""

from pathlib import Path

import pytest

from buildtool.executor.emulation import runs_here


@pytest.mark.parametrize(
    ("architecture", "machine", "runs"),
    [
        ("amd64", "x86_64", True),
        ("386", "x86_64", True),
        ("arm64", "x86_64", False),
        ("arm", "aarch64", True),
        ("amd64", "aarch64", False),
        ("unheard-of", "x86_64", False),
    ],
)
def test_by_itself(architecture: str, machine: str, runs: bool, tmp_path: Path) -> None:
    assert runs_here(architecture, machine, str(tmp_path)) is runs


def test_by_a_registered_emulator(tmp_path: Path) -> None:
    entry = tmp_path / "qemu-aarch64"
    entry.write_text("enabled\ninterpreter /usr/bin/qemu-aarch64-static\n")
    assert runs_here("arm64", "x86_64", str(tmp_path))
    entry.write_text("disabled\n")
    assert not runs_here("arm64", "x86_64", str(tmp_path))
