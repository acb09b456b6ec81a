"""Bills of materials of an image, in whichever format: one inventory, written down."""

import hashlib
import io
import json
from typing import TYPE_CHECKING, BinaryIO

from buildtool.attest.cyclonedx import MEDIA_TYPE as CYCLONEDX
from buildtool.attest.cyclonedx import cyclonedx
from buildtool.attest.inventory import inventory
from buildtool.attest.spdx import MEDIA_TYPE as SPDX
from buildtool.attest.spdx import spdx
from buildtool.diag import BuildError
from buildtool.oci.convert import rfc3339, seconds_of
from buildtool.oci.layout import Layout
from buildtool.oci.model import Descriptor, Manifest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: What a document is called as a blob, by its format.
MEDIA_TYPES = {"spdx": SPDX, "cyclonedx": CYCLONEDX}


def sbom(layout: Layout, image: Descriptor, form: str) -> bytes:
    """The bill of materials of an image manifest, `spdx` or `cyclonedx`: the same bytes for the same image.

    BuildErrors of `Layout`; `bad-archive` for a layer that is none.
    """
    manifest = layout.manifest(image)
    assert isinstance(manifest, Manifest)
    created = rfc3339(seconds_of(layout.config(manifest).created))
    found = inventory(_opened(layout, layer) for layer in manifest.layers)
    write = spdx if form == "spdx" else cyclonedx
    document = write(image.digest, f"image {image.digest}", created, found)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _opened(layout: Layout, layer: Descriptor) -> BinaryIO:
    file, _ = layout.open(layer.digest)
    return io.BufferedReader(_Checked(file, layer.digest, layout.name), 1 << 20)


class _Checked(io.RawIOBase):
    """A blob that is hashed while it is read: its end is only reached if it is the right one."""

    def __init__(self, file: BinaryIO, digest: str, where: str) -> None:
        super().__init__()
        self._file = file
        self._digest = digest
        self._where = where
        self._sum = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        data = self._file.read(len(memoryview(buffer)))
        self._sum.update(data)
        if not data and self._digest != f"sha256:{self._sum.hexdigest()}":
            raise BuildError(
                "corrupt-blob",
                f"blob {self._digest} of {self._where} is corrupt: its bytes have another digest",
                hint="copy the image anew",
                exit_status=1,
            )
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
