"""What stands beside an image in a registry that lies: nothing of it is taken for what it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from buildtool.cli.access import Access
from buildtool.cli.remote import referrers_at
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.oci.artifact import referrer
from buildtool.oci.model import INDEX, MANIFEST, Descriptor, IndexRecord, Manifest, decode_manifest, encode
from buildtool.store import Store
from tests.support.images import layer, put_image
from tests.support.scripted_registry import Answer, Registry, Seen, serving

KIND = "application/vnd.dsse.envelope.v1+json"
STATEMENT = b'{"payload":"..."}'


class Liar:
    """A registry with an image, whose list of referrers and blobs are as a test has them."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        registry.script = self.answer
        self.listed: list[Descriptor] = []
        with Store.open(str(folder / "author")) as store:
            self.image = put_image(store, [layer(a=b"a")])
            self.other = put_image(store, [layer(b=b"b")])
            self.good = self.add(store, referrer(store.blobs, self.image, KIND, STATEMENT))
            self.strange = self.add(store, referrer(store.blobs, self.other, KIND, STATEMENT))
            document = decode_manifest(store.blobs.read(self.good.digest, 1 << 20), MANIFEST, "it")
            assert isinstance(document, Manifest)
            self.blob = document.layers[0].digest
            self.empty = self.put(document, layers=())
            sized = (
                self.put(document, layers=(Descriptor(KIND, self.blob, size),))
                for size in (1 << 40, 200 << 20)
            )
            self.huge, self.large = sized
        registry.blobs[self.blob] = STATEMENT

    def add(self, store: Store, entry: Descriptor) -> Descriptor:
        self.registry.manifests["app", entry.digest] = (MANIFEST, store.blobs.read(entry.digest, 1 << 20))
        return entry

    def put(self, document: Manifest, **changes: object) -> Descriptor:
        import msgspec

        data = encode(msgspec.structs.replace(document, **changes))
        digest = self.registry.add_blob(data)
        self.registry.manifests["app", digest] = (MANIFEST, data)
        return Descriptor(MANIFEST, Digest(digest), len(data), artifact_type=KIND)

    def answer(self, seen: Seen) -> Answer | None:
        if "/referrers/" not in seen.path:
            return None
        return Answer(200, {"Content-Type": INDEX}, encode(IndexRecord(2, tuple(self.listed), INDEX)))

    def beside(self, folder: Path) -> list[bytes]:
        place = f"docker://{self.registry.address}/app"
        with Store.open(str(folder / "reader")) as store:
            found = referrers_at(place, store, self.image.digest, KIND, Access(retry=0))
            return [data for _, _, data in found]


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Liar]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with serving() as registry:
        yield Liar(registry, tmp_path)


def test_what_is_there_is_taken_once_it_is_verified(liar: Liar, tmp_path: Path) -> None:
    other_kind = Descriptor(MANIFEST, liar.good.digest, liar.good.size, artifact_type="text/plain")
    # One without content says nothing, and what is too large to be a statement is not fetched.
    liar.listed = [other_kind, liar.empty, liar.huge, liar.good]
    assert liar.beside(tmp_path) == [STATEMENT]
    assert sum(f"/blobs/{liar.blob}" in seen.path for seen in liar.registry.seen) == 1


def test_a_referrer_of_another_image_is_refused(liar: Liar, tmp_path: Path) -> None:
    liar.listed = [liar.strange]
    with pytest.raises(BuildError, match="is about another image") as caught:
        liar.beside(tmp_path)
    assert caught.value.code == "bad-document"


def test_more_than_anybody_states_is_not_brought(liar: Liar, tmp_path: Path) -> None:
    liar.listed = [liar.good] * 1001
    with pytest.raises(BuildError, match="1001 referrers") as caught:
        liar.beside(tmp_path)
    assert caught.value.code == "too-many-referrers"
    assert not any("/manifests/" in seen.path for seen in liar.registry.seen)
    liar.listed = [liar.good, *[liar.large] * 6]
    with pytest.raises(BuildError, match="more than 1024 MiB of referrers"):
        liar.beside(tmp_path)


@pytest.mark.parametrize("part", ["manifest", "blob"])
def test_other_bytes_are_refused(liar: Liar, part: str, tmp_path: Path) -> None:
    liar.listed = [liar.good]
    if part == "blob":
        liar.registry.blobs[liar.blob] = STATEMENT.replace(b"payload", b"PAYLOAD")
    else:
        kind, data = liar.registry.manifests["app", liar.strange.digest]
        liar.registry.manifests["app", liar.good.digest] = (kind, data)
    with pytest.raises(BuildError, match=r"serves other bytes|cannot get") as caught:
        liar.beside(tmp_path)
    assert caught.value.code == "registry-failed"
    with Store.open(str(tmp_path / "reader")) as store:
        assert liar.blob not in set(store.blobs.digests())
