"""CycloneDX 1.6 as JSON: an image, its packages and its files (cyclonedx.org/docs/1.6/json)."""

import uuid
from typing import Any

from buildtool import __version__
from buildtool.attest.inventory import File, Inventory
from buildtool.attest.packages import Package
from buildtool.digest import Digest, hex_of

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def cyclonedx(digest: Digest, name: str, created: str, found: Inventory) -> dict[str, Any]:
    """The document about the image manifest `digest`, made at the image's own instant (RFC 3339)."""
    components = [*(_package(p) for p in found.packages), *(_file(f) for f in found.files)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # Of the digest alone, so that the same image has the same number.
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"urn:buildtool:cyclonedx:{digest}").urn,
        "version": 1,
        "metadata": {
            "timestamp": created,
            "tools": {"components": [{"type": "application", "name": "buildtool", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": name,
                "version": str(digest),
                "hashes": [{"alg": "SHA-256", "content": hex_of(digest)}],
            },
        },
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [c["bom-ref"] for c in components]}],
    }


def _package(package: Package) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "properties": [{"name": "buildtool:described-by", "value": package.at}],
    }
    if package.licence:
        told["licenses"] = [{"license": {"name": package.licence}}]
    if package.supplier:
        told["supplier"] = {"name": package.supplier}
    return told


def _file(file: File) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:/{file.shown}",
        "name": f"/{file.shown}",
        "hashes": [{"alg": "SHA-1", "content": file.sha1}, {"alg": "SHA-256", "content": file.sha256}],
    }
