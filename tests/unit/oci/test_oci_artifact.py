"""Referrers in a layout: those about an image are found, whatever else a stranger has put beside it."""

from pathlib import Path

import msgspec

from buildtool.digest import sha256
from buildtool.oci.artifact import content, referrer, referrers
from buildtool.oci.export import Export, write_layout
from buildtool.oci.layout import open_layout
from buildtool.oci.model import MANIFEST, Descriptor, Manifest, decode_manifest, encode
from buildtool.store import Store
from tests.support.images import layer, put_image

KIND = "text/x-note"


def test_only_what_tells_something_of_the_image_is_found(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "store")) as store:
        image, other = put_image(store, [layer(a=b"a")]), put_image(store, [layer(b=b"b")])
        good = referrer(store.blobs, image, KIND, b"a note")
        strange = referrer(store.blobs, other, KIND, b"of another image")
        document = decode_manifest(store.blobs.read(good.digest, 1 << 20), MANIFEST, "it")
        assert isinstance(document, Manifest)
        made = [image, other, good, strange]
        for changes in ({"layers": ()}, {"subject": None}):
            data = encode(msgspec.structs.replace(document, **changes))
            store.blobs.put(data)
            made.append(Descriptor(MANIFEST, sha256(data), len(data), artifact_type=KIND))
        exports = [Export(d.digest, d.size, d.media_type, artifact_type=d.artifact_type) for d in made]
        write_layout(str(tmp_path / "layout"), exports, store.blobs)
    layout = open_layout(str(tmp_path / "layout"))
    found = list(referrers(layout, image.digest, KIND))
    assert [entry.digest for entry, _ in found] == [good.digest]
    assert content(layout, found[0][1]) == b"a note"
    assert list(referrers(layout, image.digest, "text/plain")) == []
