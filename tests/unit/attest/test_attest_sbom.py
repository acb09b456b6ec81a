"""Bills of materials: what is in an image, by formats that their own tools accept."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from buildtool.attest.cyclonedx import cyclonedx
from buildtool.attest.inventory import Inventory, inventory
from buildtool.attest.packages import debian_packages, node_package, python_package
from buildtool.attest.purl import image_url, npm_name, package_at, purl
from buildtool.attest.spdx import spdx
from buildtool.diag import BuildError
from buildtool.digest import sha256

DIGEST, CREATED = sha256(b"an image"), "1980-01-01T00:00:00Z"

STATUS = """Package: apt
Status: install ok installed
Maintainer: APT Team <apt@example.org>
Architecture: amd64
Version: 2.6.1
Homepage: https://wiki.debian.org/Apt
Description: commandline package manager
 with a long text

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13.dfsg-1
"""
METADATA = """Metadata-Version: 2.1
Name: Typing_Extensions
Version: 4.12.2
License: PSF
Author: Somebody
Description: x
    Name: not this

Name: nor this
"""

BOTTOM: dict[str, bytes | None] = {
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS.encode(),
    "opt/app/lib/typing_extensions-4.12.2.dist-info/METADATA": METADATA.encode(),
    "opt/node_modules/@types/node/package.json": b'{"name":"@types/node","version":"20.1.0","license":"MIT"}',
    "opt/node_modules/ms/package.json": b'{"name":"ms","version":"2.1.3"}',
    "opt/package.json": b'{"name":"the-app-itself","version":"1.0.0"}',
    "old/file": b"old",
    "old/deep/file": b"old",
    "hidden": b"hidden",
    "folder/inner": b"x",
}
TOP: dict[str, bytes | None] = {
    ".wh.hidden": b"",
    "old/.wh..wh..opq": b"",
    "old/new": b"new",
    "folder": b"now a file",
    "opt/node_modules/.wh.ms": b"",
    "var/lib/dpkg/status.d/base": b"Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
    "caf\xe9": b"a name",
}


def layer(files: dict[str, bytes | None], links: dict[str, str] | None = None) -> BinaryIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data or b"")
            archive.addfile(info, io.BytesIO(data or b""))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, target
            archive.addfile(info)
    out.seek(0)
    return out


@pytest.fixture
def found() -> Inventory:
    return inventory([layer(BOTTOM), layer(TOP, {"linked": "etc/os-release"})])


def test_an_inventory_is_what_is_left_of_all_layers(found: Inventory) -> None:
    paths = [file.shown for file in found.files]
    assert paths == sorted(
        {*BOTTOM, *TOP, "linked"}
        - {"hidden", "old/file", "old/deep/file", "folder/inner", "opt/node_modules/ms/package.json"}
        - {name for name in TOP if ".wh." in name}
    )
    by_path = {file.shown: file for file in found.files}
    assert by_path["folder"].sha256 == hashlib.sha256(b"now a file").hexdigest()
    assert by_path["folder"].sha1 == hashlib.sha1(b"now a file").hexdigest()
    assert by_path["linked"].sha256 == by_path["etc/os-release"].sha256
    assert found.distribution == "debian-12"
    assert [package.purl for package in found.packages] == [
        "pkg:deb/debian/apt@2.6.1?arch=amd64&distro=debian-12",
        "pkg:deb/debian/base-files@12.4?arch=amd64&distro=debian-12",
        "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
        "pkg:npm/%40types/node@20.1.0",
        "pkg:pypi/typing-extensions@4.12.2",
    ]


def _check_spdx(document: dict[str, Any]) -> None:
    """The document is valid by the reference tools of SPDX."""
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []


def test_spdx_is_valid_by_its_own_library(found: Inventory) -> None:
    document = spdx(DIGEST, "app", CREATED, found)
    _check_spdx(document)
    assert document == spdx(DIGEST, "app", CREATED, found)
    (image, *packages) = document["packages"]
    assert image["checksums"][0]["checksumValue"] == DIGEST.removeprefix("sha256:")
    assert [p["name"] for p in packages] == [
        "apt",
        "base-files",
        "zlib1g",
        "@types/node",
        "Typing_Extensions",
    ]
    assert packages[0]["supplier"] == "Organization: APT Team <apt@example.org>"
    assert packages[4]["licenseComments"] == "its description says: PSF"
    assert len(document["files"]) == len(found.files)
    _check_spdx(spdx(DIGEST, "empty", CREATED, Inventory((), ())))


def test_cyclonedx_is_valid_by_its_own_library(found: Inventory) -> None:
    for inventory_ in (found, Inventory((), ())):
        text = json.dumps(cyclonedx(DIGEST, "app", CREATED, inventory_))
        problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        assert problem is None, problem
    document = cyclonedx(DIGEST, "app", CREATED, found)
    assert document == cyclonedx(DIGEST, "app", CREATED, found)
    assert document["serialNumber"] != cyclonedx(sha256(b""), "app", CREATED, found)["serialNumber"]
    references = [component["bom-ref"] for component in document["components"]]
    assert len(set(references)) == len(references)
    assert document["dependencies"] == [{"ref": "image", "dependsOn": references}]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"name":1,"version":"1"}', b'{"name":"a b","version":"1"}', b"[" * 99_999]
)
def test_descriptions_that_make_no_sense_describe_nothing(data: bytes) -> None:
    assert node_package(data, "/x") is None
    assert python_package(data, "/x") is None
    assert list(debian_packages(data, "/x", "")) == []


def test_layers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BuildError, match="which is not there"):
        inventory([layer({}, {"a": "nowhere"})])
    with pytest.raises(BuildError):
        inventory([io.BytesIO(layer({"a": b"x" * 5000}).read()[:-40])])


def test_package_urls() -> None:
    assert purl("deb", "g++", "1:2~3+b1", namespace="debian") == "pkg:deb/debian/g%2B%2B@1:2~3%2Bb1"
    assert image_url("host:5000/team/app:1") == "pkg:docker/team/app@1?repository_url=host:5000"
    assert image_url("alpine") == "pkg:docker/alpine"
    assert image_url(f"ghcr.io/a/b@{DIGEST}") == f"pkg:docker/a/b@{DIGEST}?repository_url=ghcr.io"
    assert npm_name("npm:@types/node/-/node-20.1.0.tgz") == ("@types/node", "20.1.0")
    assert npm_name("npm:ms/-/ms-2.1.3.tgz") == ("ms", "2.1.3")
    assert npm_name("https://example.org/ms-2.1.3.tgz") is None
    places = {
        "debian:pool/main/g/gcc/g++_4%3a12.2.0-3_amd64.deb": "pkg:deb/debian/g%2B%2B@4:12.2.0-3?arch=amd64",
        "debian-security:pool/updates/x_1_all.deb": "pkg:deb/debian/x@1?arch=all",
        "pypi:typing_extensions-4.12.2-py3-none-any.whl": "pkg:pypi/typing-extensions@4.12.2",
        "npm:@types/node/-/node-20.1.0.tgz": "pkg:npm/%40types/node@20.1.0",
        "debian:dists/bookworm/InRelease": "",
        "https://example.org/x_1_all.deb": "",
    }
    assert {place: package_at(place) for place in places} == places


def test_a_real_image(tmp_path: Path) -> None:
    """By the command line, and only there where it is asked for; the digest is the same with and without."""
    import os
    import subprocess
    import sys

    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY lib /usr/lib/\n")
    described = tmp_path / "lib" / "x-1.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Name: x\nVersion: 1\n")

    def run(*arguments: str) -> bytes:
        env = {**os.environ, "BUILDTOOL_STORE": str(tmp_path / "store")}
        command = [sys.executable, "-m", "buildtool", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plain = run("build", "-q", "-t", "a", "-o", "type=oci,dest=plain,tar=false", ".")
    told = run("build", "-q", "--sbom=spdx,cyclonedx", "--provenance", "-o", "type=oci,dest=told.tar", ".")
    assert plain == told
    assert (
        run("build", "-q", "--sbom=false", "--provenance=false", "-o", "type=oci,dest=told.tar", ".") == told
    )
    assert len(json.loads((tmp_path / "plain" / "index.json").read_text())["manifests"]) == 1
    run("build", "-q", "--sbom=spdx,cyclonedx", "--provenance", "-o", "type=oci,dest=told,tar=false", ".")
    for _ in range(2):
        run("build", "-q", "--sbom", "-t", "b", "-o", "type=oci,dest=told,tar=false", ".")
    kinds = [
        m.get("artifactType", "") for m in json.loads((tmp_path / "told/index.json").read_text())["manifests"]
    ]
    assert sorted(kinds) == [
        "",
        "",
        "application/spdx+json",
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
    ]
    assert b"is valid" in run("validate", "oci:told")
    document = json.loads(run("sbom", "oci:told:latest"))
    _check_spdx(document)
    assert document["packages"][1]["name"] == "x"
    assert run("sbom", "a", "--format", "cyclonedx") == run("sbom", "oci:plain", "--format", "cyclonedx")
