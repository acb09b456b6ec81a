"""The oracle corpus as far as it can be compared without running anything: config and history, and errors."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buildtool.diag import BuildError, Span
from buildtool.digest import Digest, sha256
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import FolderContext, ImageContext, NamedContext, Request
from buildtool.frontends.dockerfile.values import platform
from buildtool.graph.ignore import parse_ignore
from buildtool.graph.model import BaseLayer, History, Image, ImageConfig, ImageSource, Platform
from buildtool.lock.model import FilePin

ORACLE = Path(__file__).parents[5] / "shared" / "oracle"
CASES = ORACLE / "cases"
AMD64 = Platform("linux", "amd64")

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the oracle is not beside the repository")

#: Parts of the language that are refused until they are lowered.
UNSUPPORTED = "not-supported-yet"


def case_names() -> list[str]:
    return sorted(p.parent.name for p in CASES.glob("*/case.toml")) if CASES.is_dir() else []


def base(name: str) -> Image:
    """The image of one of the oracle's layouts."""
    layout = ORACLE / "base" / name

    def blob(digest: str) -> Any:
        return json.loads((layout / "blobs" / "sha256" / digest[7:]).read_text())

    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest = blob(entry["digest"])
    doc = blob(manifest["config"]["digest"])
    found = doc["config"]
    layers = tuple(
        BaseLayer(Digest(diff), Digest(d["digest"]), d["size"], d["mediaType"])
        for diff, d in zip(doc["rootfs"]["diff_ids"], manifest["layers"], strict=True)
    )
    config = ImageConfig(
        env=tuple(tuple(e.split("=", 1)) for e in found.get("Env", ())),  # type: ignore[misc]
        entrypoint=tuple(found["Entrypoint"]) if found.get("Entrypoint") else None,
        cmd=tuple(found["Cmd"]) if found.get("Cmd") else None,
        working_dir=found.get("WorkingDir", ""),
        user=found.get("User", ""),
        labels=tuple(found.get("Labels", {}).items()),
        exposed_ports=tuple(found.get("ExposedPorts", {})),
        volumes=tuple(found.get("Volumes", {})),
        stop_signal=found.get("StopSignal", ""),
        on_build=tuple(found.get("OnBuild", ())),
    )
    history = tuple(History(h["created_by"], h.get("empty_layer", False)) for h in doc["history"])
    rootfs = ImageSource(Digest(entry["digest"]), layers)
    return Image(rootfs, config, Platform(doc["os"], doc["architecture"]), 0, history)


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise BuildError("unknown-image", f"no image {name}")

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        return FilePin(checksum or sha256(b""), 0)

    def commit(self, url: str, ref: str, checksum: str) -> str:
        raise BuildError("unknown-repository", f"no repository {url}")


def config_of(image: Image) -> dict[str, Any]:
    """The image's config in the form of expected.json."""
    c = image.config
    health = None
    if c.healthcheck is not None:
        health = {
            "Test": list(c.healthcheck.test),
            "Interval": c.healthcheck.interval,
            "Timeout": c.healthcheck.timeout,
            "StartPeriod": c.healthcheck.start_period,
            "StartInterval": c.healthcheck.start_interval,
            "Retries": c.healthcheck.retries,
        }
    fields = {
        "Env": [f"{k}={v}" for k, v in c.env],
        "Entrypoint": list(c.entrypoint or ()),
        "Cmd": list(c.cmd or ()),
        "User": c.user,
        "WorkingDir": c.working_dir,
        "Labels": dict(c.labels),
        "StopSignal": c.stop_signal,
        "Shell": list(c.shell or ()),
        "Healthcheck": {k: v for k, v in (health or {}).items() if v},
        "OnBuild": list(c.on_build),
        "ExposedPorts": sorted(c.exposed_ports),
        "Volumes": sorted(c.volumes),
        "architecture": image.platform.architecture,
        "os": image.platform.os,
        "variant": image.platform.variant,
        "author": image.author,
    }
    return {k: v for k, v in fields.items() if v}


def lower_case(name: str) -> Iterator[tuple[str, Image]]:
    """The images of a case, by platform."""
    folder = CASES / name
    case = tomllib.loads((folder / "case.toml").read_text())
    dockerfile = folder / case.get("dockerfile", "Dockerfile")
    if not dockerfile.exists():
        pytest.skip("a case of the command line")
    args = dict(a.split("=", 1) for a in case.get("build_args", ()))
    if "http" in case:
        args["ORACLE_HTTP"] = "http://127.0.0.1:9"
    contexts: dict[str, NamedContext] = {n: ImageContext(base(n)) for n in ("busybox", "onbuild")}
    for context, where in case.get("contexts", {}).items():
        inner = folder / where / ".dockerignore"
        ignore = parse_ignore(inner.read_bytes()) if inner.exists() else ()
        contexts[context] = FolderContext(str(folder / where), ignore)
    own = dockerfile.with_name(dockerfile.name + ".dockerignore")
    ignored = own if own.exists() else folder / "context" / ".dockerignore"
    for wanted in case.get("platform") or ["linux/amd64"]:
        request = Request(
            folder=str(folder / "context"),
            epoch=0,
            target=case.get("target", ""),
            build_args=args,
            platform=platform(wanted, AMD64),
            ignore=parse_ignore(ignored.read_bytes()) if ignored.exists() else (),
            contexts=contexts,
        )
        tree = parse(dockerfile.read_bytes(), "Dockerfile")
        yield wanted, lower(tree, request, NoBases()).image


def outcome(name: str) -> dict[str, Image] | BuildError:
    try:
        return dict(lower_case(name))
    except BuildError as error:
        return error


@pytest.mark.parametrize("name", case_names())
def test_case(name: str) -> None:
    expected = json.loads((CASES / name / "expected.json").read_text())
    found = outcome(name)
    if isinstance(found, BuildError):
        if found.code == UNSUPPORTED:
            pytest.xfail(found.message)
        assert "error" in expected, found
        # A check that error=true makes an error is a build that failed; the file itself is right.
        assert found.exit_status == (1 if found.code == "lint" else 2)
        any_line = "any_line = true" in (CASES / name / "case.toml").read_text()
        if expected["line"] is not None and not any_line:
            assert found.span is not None
            assert found.span.line == expected["line"]
        return
    if "error" in expected:
        pytest.skip("found while running, or by a check")
    for wanted, image in found.items():
        one = expected["platforms"][wanted] if "platforms" in expected else expected
        assert config_of(image) == one["config"]
        assert [h.empty_layer for h in image.history] == [h["empty_layer"] for h in one["history"]]
