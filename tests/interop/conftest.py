"""A registry on loopback that is Debian's docker-registry."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker_registry import docker_registry


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry keeps what it has."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(kept: Path) -> Iterator[str]:
    """The address of a registry."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    with docker_registry(kept) as address:
        yield address
