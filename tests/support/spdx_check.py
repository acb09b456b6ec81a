"""A strict check of SPDX 2.3 documents: the rules of the specification that our documents can break."""

import hashlib
import re
from typing import Any

_ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
_HEX = {"SHA1": 40, "SHA256": 64}
_PURL = re.compile(r"pkg:[a-z]+/[^\s]+@[^\s]+")
_DOCUMENT = {
    "spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "files",
    "relationships",
}  # fmt: skip
_PACKAGE = {
    "SPDXID", "name", "versionInfo", "primaryPackagePurpose", "downloadLocation", "filesAnalyzed",
    "packageVerificationCode", "checksums", "licenseConcluded", "licenseDeclared", "licenseInfoFromFiles",
    "copyrightText", "supplier", "sourceInfo", "externalRefs", "homepage", "licenseComments",
}  # fmt: skip
_FILE = {"SPDXID", "fileName", "checksums", "licenseConcluded", "licenseInfoInFiles", "copyrightText"}


def check(document: dict[str, Any]) -> None:
    """AssertionError with what is wrong (numbers are sections of SPDX 2.3)."""
    assert document.keys() == _DOCUMENT
    assert document["spdxVersion"] == "SPDX-2.3"  # 6.1
    assert document["dataLicense"] == "CC0-1.0"  # 6.2
    assert document["SPDXID"] == "SPDXRef-DOCUMENT"  # 6.3
    assert re.fullmatch(r"[a-z][a-z0-9+.-]*:[^#\s]+", document["documentNamespace"])  # 6.5
    created = document["creationInfo"]["created"]  # 6.9
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert all(re.match("(Tool|Person|Organization): .", c) for c in document["creationInfo"]["creators"])
    elements = [document, *document["packages"], *document["files"]]
    ids = [element["SPDXID"] for element in elements]
    assert all(_ID.fullmatch(one) for one in ids)  # 3.2
    assert len(set(ids)) == len(ids)
    for package in document["packages"]:
        _package(package, document["files"])
    for file in document["files"]:
        _file(file)
    for relation in document["relationships"]:  # 11.1
        assert relation.keys() == {"spdxElementId", "relationshipType", "relatedSpdxElement"}
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= set(ids)
        assert relation["relationshipType"] in ("DESCRIBES", "CONTAINS")
    described = [r for r in document["relationships"] if r["relationshipType"] == "DESCRIBES"]
    assert len(described) == 1


def _package(package: dict[str, Any], files: list[dict[str, Any]]) -> None:
    assert package.keys() <= _PACKAGE
    assert package["name"]  # 7.1
    assert package["downloadLocation"] == "NOASSERTION"  # 7.7
    analysed = package["filesAnalyzed"]  # 7.8
    assert ("packageVerificationCode" in package) == analysed
    assert ("licenseInfoFromFiles" in package) == analysed
    if analysed:
        sums = sorted(c["checksumValue"] for f in files for c in f["checksums"] if c["algorithm"] == "SHA1")
        code = hashlib.sha1("".join(sums).encode()).hexdigest()  # 7.9
        assert package["packageVerificationCode"] == {"packageVerificationCodeValue": code}
    supplier = package.get("supplier", "NOASSERTION")  # 7.5
    assert supplier == "NOASSERTION" or re.match("(Person|Organization): .", supplier)
    _sums(package.get("checksums", []))
    for reference in package.get("externalRefs", []):  # 7.21
        assert reference.keys() == {"referenceCategory", "referenceType", "referenceLocator"}
        assert (reference["referenceCategory"], reference["referenceType"]) == ("PACKAGE-MANAGER", "purl")
        assert _PURL.fullmatch(reference["referenceLocator"])
    assert {package[k] for k in ("licenseConcluded", "licenseDeclared", "copyrightText")} == {"NOASSERTION"}


def _file(file: dict[str, Any]) -> None:
    assert file.keys() == _FILE
    assert file["fileName"].startswith("./")  # 8.1
    assert "SHA1" in {c["algorithm"] for c in file["checksums"]}  # 8.4
    _sums(file["checksums"])


def _sums(checksums: list[dict[str, Any]]) -> None:
    for one in checksums:
        assert re.fullmatch(f"[0-9a-f]{{{_HEX[one['algorithm']]}}}", one["checksumValue"])
