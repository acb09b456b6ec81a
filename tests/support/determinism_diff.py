"""Says how two images of layouts differ, with the differ of `buildtool diff`; every blob is checked."""

import hashlib
from pathlib import Path

from buildtool.digest import parse_digest
from buildtool.oci.layout import open_layout
from buildtool.oci.model import MANIFEST, Descriptor
from buildtool.verify.compare import compare
from buildtool.verify.render import as_text
from buildtool.verify.subject import Image, of_layout


def image_difference(first: Path, one: str, second: Path, two: str) -> list[str]:
    """Lines on how manifest `two` of the layout `second` differs from `one` of `first`; none if it does not.

    The manifests are named by digest.
    """
    found = compare(_image(first, one, "first"), _image(second, two, "second"))
    return [] if found.same else as_text(found, everything=True).splitlines()


def _image(layout: Path, digest: str, name: str) -> Image:
    opened = open_layout(str(layout))
    size = len(blob(layout, digest))
    return of_layout(opened, Descriptor(MANIFEST, parse_digest(digest), size), name)


def blob(layout: Path, digest: str) -> bytes:
    """The bytes of a blob, which have to have its digest."""
    data = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == digest, f"{digest} is damaged"
    return data
