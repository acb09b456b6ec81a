"""What is written about a finished build for other programs: `--iidfile` and `--metadata-file`."""

import os
from collections.abc import Sequence
from typing import Any

from buildtool.cli.request import BuildRequest
from buildtool.diag import BuildError
from buildtool.executor.api import Built, BuiltImage, BuiltIndex, BuiltStep, Result

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


def write_iidfile(path: str, built: Built) -> None:
    """The digest of the manifest, without a line end, as buildx writes it."""
    if len(built.results) != 1:
        raise BuildError("bad-usage", "--iidfile is for one image, and here are several")
    _write(path, str(built.results[0].digest))


def write_metadata(path: str, results: Sequence[tuple[str, Result]], request: BuildRequest) -> None:
    """buildx's keys, and ours: `target`, `hermetic`, every process of it; a list for several results."""
    import json

    records = [
        (index_metadata(result, request) if isinstance(result, BuiltIndex) else metadata_of(result, request))
        | ({"target": target} if target else {})
        for target, result in results
    ]
    document: Any = records[0] if len(records) == 1 else records
    _write(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def metadata_of(image: BuiltImage, request: BuildRequest) -> dict[str, Any]:
    """One image as the metadata file tells of it."""
    record: dict[str, Any] = {
        "containerimage.config.digest": str(image.config),
        "containerimage.descriptor": {
            "mediaType": _MANIFEST,
            "digest": str(image.manifest),
            "size": image.manifest_size,
            "platform": _platform(image),
        },
        "containerimage.digest": str(image.manifest),
        "hermetic": image.hermetic,
        "source-date-epoch": request.epoch,
        "steps": [_step(step) for step in image.steps],
    }
    if request.names:
        record["image.name"] = ",".join(map(str, request.names))
    if image.network_steps:
        record["network-steps"] = list(image.network_steps)
    return record


def index_metadata(index: BuiltIndex, request: BuildRequest) -> dict[str, Any]:
    """An index as the metadata file tells of it; `images` has its images by platform."""
    images = {str(image.platform): metadata_of(image, request) for image in index.images}
    record: dict[str, Any] = {
        "containerimage.descriptor": {
            "mediaType": _INDEX,
            "digest": str(index.digest),
            "size": index.size,
        },
        "containerimage.digest": str(index.digest),
        "hermetic": all(image.hermetic for image in index.images),
        "images": images,
        "source-date-epoch": request.epoch,
    }
    if request.names:
        record["image.name"] = ",".join(map(str, request.names))
    return record


def _step(step: BuiltStep) -> dict[str, Any]:
    """A process: its instruction, and whether what it did follows from its inputs and the lock."""
    place = f"{step.span.file}:{step.span.line}" if step.span else ""
    record = {"title": step.title, "stage": step.stage, "place": place, "network": step.network}
    return {**record, "hermetic": step.hermetic}


def _platform(image: BuiltImage) -> dict[str, str]:
    found = {"architecture": image.platform.architecture, "os": image.platform.os}
    if image.platform.variant:
        found["variant"] = image.platform.variant
    return found


def _write(path: str, text: str) -> None:
    """Replace the file in one step: who reads it sees the old text or the new."""
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, path)
    except OSError as error:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise BuildError("cannot-write", f"{path}: {error.strerror}", exit_status=1) from error
