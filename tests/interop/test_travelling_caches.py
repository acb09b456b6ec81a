"""Caches in a registry that is Debian's docker-registry, on loopback."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


class Machine:
    """A store, and builds of one context with it."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.folder = folder
        self.context = context

    def build(self, *options: str) -> "subprocess.CompletedProcess[str]":
        done = self.try_to_build(*options)
        assert done.returncode == 0, done.stderr
        return done

    def try_to_build(self, *options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "buildtool", "build", "--progress=plain", *options, str(self.context)],
            env={**os.environ, "BUILDTOOL_STORE": str(self.folder)},
            cwd=self.context,
            capture_output=True,
            text=True,
            timeout=120,
        )


def digest_of(done: "subprocess.CompletedProcess[str]") -> str:
    """The digest of the image that a build tells of at its end."""
    return re.findall(r"^(sha256:[0-9a-f]{64})  ", done.stderr, re.MULTILINE)[-1]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        "FROM scratch AS one\nCOPY a /\nFROM scratch\nCOPY --from=one /a /b\nCOPY c /\n"
    )
    (folder / "a").write_text("a")
    (folder / "c").write_text("c")
    return folder


def test_a_cache_in_a_registry(registry: str, context: Path, tmp_path: Path) -> None:
    name = f"{registry}/team/cache:main"
    first = Machine(tmp_path / "one", context).build("--cache-to", f"type=registry,ref={name},mode=max")
    assert "3 steps executed" in first.stderr
    second = Machine(tmp_path / "two", context).build("--cache-from", name)
    assert "0 steps executed, 3 from the cache" in second.stderr
    assert digest_of(second) == digest_of(first)
    (context / "c").write_text("changed")
    third = Machine(tmp_path / "three", context).build("--cache-from", f"type=registry,ref={name}")
    assert "1 step executed, 2 from the cache" in third.stderr


def test_a_cache_beside_an_image(registry: str, context: Path, tmp_path: Path) -> None:
    name = f"{registry}/app:1"
    plain = Machine(tmp_path / "one", context).build("-t", name, "--push")
    first = Machine(tmp_path / "two", context).build("-t", name, "--push", "--cache-to", "type=inline")
    assert digest_of(first) == digest_of(plain), "the image is another one with its cache"
    second = Machine(tmp_path / "three", context).build("--cache-from", name)
    assert "0 steps executed, 3 from the cache" in second.stderr
    assert digest_of(second) == digest_of(plain)
    done = Machine(tmp_path / "four", context).try_to_build("--cache-to", "type=inline")
    assert done.returncode == 2
    assert "goes with an image that is pushed" in done.stderr


def test_no_cache_in_the_registry(registry: str, context: Path, tmp_path: Path) -> None:
    for place, why in ((f"{registry}/none:x", "does not have it"), ("127.0.0.1:1/x", "cannot be reached")):
        done = Machine(tmp_path / why, context).build("--cache-from", place)
        assert f"warning[cache-unusable]: the cache {place} is not used" in done.stderr
        assert "3 steps executed" in done.stderr


def test_an_image_is_no_cache(registry: str, context: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    Machine(tmp_path / "one", context).build("-o", f"type=oci,dest={layout},tar=false", "-t", "image:1")
    subprocess.run(
        [
            "skopeo",
            "copy",
            "-q",
            "--dest-tls-verify=false",
            f"oci:{layout}:1",
            f"docker://{registry}/image:1",
        ],
        check=True,
    )
    done = Machine(tmp_path / "two", context).build("--cache-from", f"{registry}/image:1")
    assert "is not used: what is there is no cache" in done.stderr


def test_a_registry_that_serves_other_bytes(registry: str, kept: Path, context: Path, tmp_path: Path) -> None:
    name = f"{registry}/bad:1"
    first = Machine(tmp_path / "one", context).build("--cache-to", f"type=registry,ref={name}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        urllib.request.Request(
            f"http://{registry}/v2/bad/manifests/1",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
    ) as answer:
        layers = [layer["digest"][7:] for layer in json.load(answer)["layers"]]
    for digest in layers:
        path = kept / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        path.write_bytes(bytes(path.stat().st_size))
    second = Machine(tmp_path / "two", context).build("--cache-from", name)
    assert "warning[cache-unusable]" in second.stderr
    assert digest_of(second) == digest_of(first)
