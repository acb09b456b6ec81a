from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark.debian import debian_architecture, sources
from buildtool.frontends.starlark.labels import Label
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.dump import dump
from buildtool.graph.model import (
    FetchSource,
    FileOp,
    Image,
    MakeLinkAction,
    Platform,
    Run,
    UnpackDebsAction,
    walk,
)
from tests.support.starlark_services import CannedServices, debian_package

AMD64 = Platform("linux", "amd64")


def lower(folder: Path, arguments: str, services: CannedServices, platform: Platform = AMD64) -> Image:
    text = f'load("@rules//debian.star", "debian_root")\ndebian_root(name = "root", {arguments})\n'
    (folder / "BUILD.star").write_text(text)
    with Workspace.open(str(folder)) as workspace:
        return workspace.lower(Label("", "root"), platform, 315532800, services)


def canned() -> CannedServices:
    return CannedServices(
        packages=[
            debian_package("base-files", essential=True),
            debian_package("dash", essential=True),
            debian_package("apt"),
        ]
    )


def test_graph_of_a_root(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    golden("starlark/debian-root.dump", dump([lower(tmp_path, 'packages = ["apt"]', canned())]))


def test_request(tmp_path: Path) -> None:
    services = canned()
    (tmp_path / "keys.asc").write_bytes(b"keys")
    lower(
        tmp_path,
        'suite = "trixie", packages = ["apt", "bash=1.0"], variant = "required", keyring = "keys.asc"',
        services,
    )
    (request,) = services.requests
    assert (request.name, request.architecture, request.variant) == ("//:root", "amd64", "required")
    assert request.suites == ("trixie", "trixie-updates", "trixie-security")
    assert (request.packages, request.components, request.keyring) == (
        ("apt", "bash=1.0"),
        ("main",),
        b"keys",
    )


def test_only_essential_packages_are_unpacked_and_all_are_installed(tmp_path: Path) -> None:
    steps = walk([lower(tmp_path, "", canned())])
    unpacked = [
        a.source for s in steps if isinstance(s, FileOp) for a in s.actions if isinstance(a, UnpackDebsAction)
    ]
    assert [u.name for u in unpacked if isinstance(u, FetchSource)] == [
        "base-files_1.0_amd64.deb",
        "dash_1.0_amd64.deb",
    ]
    (run,) = [s for s in steps if isinstance(s, Run)]
    assert run.network == "none"
    fetched = [s for s in steps if isinstance(s, FetchSource)]
    assert sorted(f.urls for f in fetched) == sorted(p.urls for p in canned().packages)


@pytest.mark.parametrize(
    ("arguments", "platform", "links"),
    [
        ("", AMD64, ["/bin", "/lib", "/lib64", "/sbin"]),
        ("", Platform("linux", "arm64"), ["/bin", "/lib", "/sbin"]),
        ('suites = ["bullseye"]', AMD64, []),
    ],
)
def test_links_of_a_merged_usr(tmp_path: Path, arguments: str, platform: Platform, links: list[str]) -> None:
    steps = walk([lower(tmp_path, arguments, canned(), platform)])
    made = [
        a.path for s in steps if isinstance(s, FileOp) for a in s.actions if isinstance(a, MakeLinkAction)
    ]
    assert made == links


@pytest.mark.parametrize(
    ("platform", "name"),
    [(AMD64, "amd64"), (Platform("linux", "arm", "v7"), "armhf"), (Platform("linux", "ppc64le"), "ppc64el")],
)
def test_architectures(platform: Platform, name: str) -> None:
    assert debian_architecture(platform) == name


@pytest.mark.parametrize("platform", [Platform("linux", "wasm"), Platform("windows", "amd64")])
def test_unknown_architectures(platform: Platform) -> None:
    with pytest.raises(BuildError) as raised:
        debian_architecture(platform)
    assert raised.value.code == "no-debian-architecture"


def test_sources_keep_archives_apart() -> None:
    text = sources(["bookworm", "bookworm-security"], ["main", "contrib"])
    assert [p.split("\n")[2:4] for p in text.split("\n\n")] == [
        ["Suites: bookworm", "Components: main contrib"],
        ["Suites: bookworm-security", "Components: main contrib"],
    ]
