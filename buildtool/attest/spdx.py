"""SPDX 2.3 as JSON: an image, its packages and its files (spdx.github.io/spdx-spec/v2.3)."""

import hashlib
import re
from typing import Any

from buildtool import __version__
from buildtool.attest.inventory import File, Inventory
from buildtool.attest.packages import Package
from buildtool.digest import Digest, hex_of

MEDIA_TYPE = "application/spdx+json"

_NO = "NOASSERTION"
_IMAGE = "SPDXRef-Image"
_URI = re.compile(r"https?://[^\s<>\"{}|\\^`]+")


def spdx(digest: Digest, name: str, created: str, found: Inventory) -> dict[str, Any]:
    """The document about the image manifest `digest`, made at the image's own instant (RFC 3339)."""
    packages = [_package(package) for package in found.packages]
    files = [_file(file) for file in found.files]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", _IMAGE)]
    relations += [(_IMAGE, "CONTAINS", one["SPDXID"]) for one in (*packages, *files)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:buildtool:spdx:{digest}",
        "creationInfo": {"created": created, "creators": [f"Tool: buildtool-{__version__}"]},
        "packages": [_image(digest, name, found), *packages],
        "files": files,
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": two}
            for one, kind, two in relations
        ],
    }


def _image(digest: Digest, name: str, found: Inventory) -> dict[str, Any]:
    return {
        "SPDXID": _IMAGE,
        "name": name,
        "versionInfo": str(digest),
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": _NO,
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": verification_code(found.files)},
        "checksums": [{"algorithm": "SHA256", "checksumValue": hex_of(digest)}],
        "licenseConcluded": _NO,
        "licenseDeclared": _NO,
        "licenseInfoFromFiles": [_NO],
        "copyrightText": _NO,
    }


def verification_code(files: tuple[File, ...]) -> str:
    """What stands for all files together (SPDX 2.3, 7.9): SHA-1 of their sorted SHA-1s."""
    text = "".join(sorted(file.sha1 for file in files))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _package(package: Package) -> dict[str, Any]:
    told: dict[str, Any] = {
        "SPDXID": "SPDXRef-Package-" + _id(package.purl),
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": _NO,
        "filesAnalyzed": False,
        "licenseConcluded": _NO,
        "licenseDeclared": _NO,
        "copyrightText": _NO,
        "supplier": f"Organization: {package.supplier}" if package.supplier else _NO,
        "sourceInfo": f"described by {package.at}",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.purl,
            }
        ],
    }
    if _URI.fullmatch(package.homepage):
        told["homepage"] = package.homepage
    if package.licence:
        # Rarely an SPDX expression: what it is belongs to who reads it.
        told["licenseComments"] = f"its description says: {package.licence}"
    return told


def _file(file: File) -> dict[str, Any]:
    return {
        "SPDXID": "SPDXRef-File-" + hashlib.sha256(file.path).hexdigest()[:32],
        "fileName": f"./{file.shown}",
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": file.sha1},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": _NO,
        "licenseInfoInFiles": [_NO],
        "copyrightText": _NO,
    }


def _id(text: str) -> str:
    """An idstring (letters, digits, `.` and `-`) that no other text has."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", text.removeprefix("pkg:")).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
