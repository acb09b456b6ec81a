"""`buildtool load` and `save` through pipes: compressed in any way, cut off, bombs, and no archives."""

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.unit.oci.conftest import LayoutFolder, tiny_layer

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def buildtool(tmp_path: Path) -> Run:
    def run(*arguments: str, data: bytes = b"", store: str = "store") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [sys.executable, "-m", "buildtool", *arguments],
            env={**os.environ, "BUILDTOOL_STORE": str(tmp_path / store)},
            input=data,
            capture_output=True,
            cwd=tmp_path,
            timeout=120,
        )

    return run


@pytest.fixture
def archive(tmp_path: Path, buildtool: Run) -> bytes:
    """What `buildtool save` writes to a pipe."""
    folder = LayoutFolder(tmp_path / "layout")
    folder.image("app:1", (tiny_layer({"file": b"text"}),))
    assert buildtool("load", "-i", "layout", store="first").returncode == 0
    done = buildtool("save", "app:1", store="first")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_pipes(compress: Callable[[bytes], bytes], archive: bytes, buildtool: Run) -> None:
    done = buildtool("load", data=compress(archive))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"loaded app:1  sha256:")
    assert buildtool("save", "app:1").stdout == archive


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: b"", b"standard input is not a tar archive"),
        (lambda data: b"#!/bin/sh\n" * 100, b"standard input is not a tar archive"),
        (lambda data: data[: len(data) // 2], b"standard input"),
        (lambda data: gzip.compress(data)[:-20], b"the archive is damaged"),
        (lambda data: zstandard.ZstdCompressor().compress(bytes(300 << 20)), b"grows to more than"),
        (lambda data: data.replace(b'"architecture"', b'"architectura"'), b"is corrupt"),
    ],
    ids=["empty", "text", "cut", "gzip cut", "bomb", "flipped"],
)
def test_damaged_archives(
    change: Callable[[bytes], bytes], says: bytes, archive: bytes, buildtool: Run, tmp_path: Path
) -> None:
    done = buildtool("load", data=change(archive))
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert buildtool("images", "-q").stdout == b""
    # What was copied to be read is gone again.
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
