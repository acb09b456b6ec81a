"""Deletion at registries that delete no tag alone: an image goes only if nothing else leads to it."""

import json
from collections.abc import Iterator

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.proxy import Proxies
from buildtool.registry.client import Registries
from buildtool.registry.credentials import Keyring
from buildtool.registry.delete import delete
from buildtool.registry.fault import Fault
from buildtool.registry.pools import Pools
from buildtool.registry.reference import parse_reference
from buildtool.registry.settings import Settings
from buildtool.registry.wire import Wire
from tests.support.scripted_registry import Answer, Registry, Seen, serving

ONE, TWO = sha256(b"one"), sha256(b"two")
MANIFESTS = "/v2/app/manifests/"


class Shelf:
    """What a registry has: tags of `app`; `deleted` are the digests that were."""

    def __init__(self, registry: Registry, tags: dict[str, str], refusal: int = 405) -> None:
        self.tags = tags
        self.refusal = refusal
        self.deleted: list[str] = []
        registry.script = self.answer
        self.address = registry.address

    def answer(self, seen: Seen) -> Answer | None:
        version = seen.path.removeprefix(MANIFESTS)
        if seen.method == "DELETE":
            if not version.startswith("sha256:"):
                return Answer(self.refusal)
            self.deleted.append(version)
            return Answer(202)
        if seen.path.startswith("/v2/app/tags/list"):
            return Answer(200, {}, json.dumps({"name": "app", "tags": list(self.tags)}).encode())
        if seen.method == "HEAD":
            if version not in self.tags:
                return Answer(404)
            kind = "application/vnd.oci.image.manifest.v1+json"
            return Answer(200, {"Docker-Content-Digest": self.tags[version], "Content-Type": kind}, b"{}")
        return None

    def delete(self, text: str) -> None:
        wire = Wire(Keyring({}), Pools(Proxies({}), {}), pause=lambda seconds: None)
        reference = parse_reference(f"{self.address}/{text}")
        delete(Registries(lambda: (wire, Settings())).writing(reference), reference)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as found:
        yield found


@pytest.mark.parametrize("refusal", [400, 405])
def test_the_only_tag_goes_with_its_image(registry: Registry, refusal: int) -> None:
    shelf = Shelf(registry, {"1": ONE, "2": TWO}, refusal)
    shelf.delete("app:1")
    assert shelf.deleted == [ONE]
    shelf.delete(f"app@{TWO}")
    assert shelf.deleted == [ONE, TWO]


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"1": ONE, "again": ONE}, "again is the same image"),
        ({"1": ONE, **{f"t{number}": TWO for number in range(201)}}, "there are 201 others"),
    ],
)
def test_an_image_that_others_may_want_stays(registry: Registry, tags: dict[str, str], why: str) -> None:
    shelf = Shelf(registry, tags)
    with pytest.raises(BuildError, match=why) as raised:
        shelf.delete("app:1")
    assert raised.value.code == "tag-shared"
    assert shelf.deleted == []


@pytest.mark.parametrize("refusal", [401, 403, 404, 500])
def test_what_is_no_answer_about_tags_ends_it(registry: Registry, refusal: int) -> None:
    shelf = Shelf(registry, {"1": ONE}, refusal)
    with pytest.raises(Fault):
        shelf.delete("app:1")
    assert shelf.deleted == []


def test_a_tag_that_is_not_there_is_told(registry: Registry) -> None:
    with pytest.raises(Fault) as raised:
        Shelf(registry, {}, 400).delete("app:1")
    assert raised.value.status == 404
