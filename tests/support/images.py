"""Small images for tests of registries, written into a store."""

import io
import json
import tarfile
from collections.abc import Sequence

from buildtool.digest import sha256
from buildtool.oci.model import CONFIG, LAYER, MANIFEST, Descriptor, Manifest, encode
from buildtool.store import Store


def layer(**files: bytes) -> bytes:
    """A layer with these files below /data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        folder = tarfile.TarInfo("data")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, data in files.items():
            entry = tarfile.TarInfo(f"data/{name}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def put_image(store: Store, layers: Sequence[bytes], **config: object) -> Descriptor:
    """An image of these layers among the blobs of a store."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [sha256(data) for data in layers]},
        **config,
    }
    packed = json.dumps(document).encode()
    for data in (packed, *layers):
        store.blobs.put(data)
    descriptors = tuple(Descriptor(LAYER, sha256(data), len(data)) for data in layers)
    manifest = encode(Manifest(2, Descriptor(CONFIG, sha256(packed), len(packed)), descriptors, MANIFEST))
    store.blobs.put(manifest)
    return Descriptor(MANIFEST, sha256(manifest), len(manifest))
