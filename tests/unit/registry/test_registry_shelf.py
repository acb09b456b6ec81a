"""The store as repositories: what a repository is called."""

from pathlib import Path

import pytest

from buildtool.oci.model import INDEX
from buildtool.registry.shelf import Refused, Shelf
from buildtool.store import Store

EMPTY = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % INDEX.encode()


@pytest.mark.parametrize(
    ("pushed", "name"),
    [
        ("app", "app:1"),
        ("library/app", "app:1"),
        ("docker.io/library/app", "app:1"),
        ("library/a/b", "library/a/b:1"),
        ("ghcr.io/library/app", "ghcr.io/library/app:1"),
        ("a_b.c/d", "a_b.c/d:1"),
    ],
)
def test_a_repository_is_a_name_of_the_store(tmp_path: Path, pushed: str, name: str) -> None:
    with Store.open(str(tmp_path)) as store:
        _check(store, pushed, name)


def _check(store: Store, pushed: str, name: str) -> None:
    shelf = Shelf(store)
    digest, _ = shelf.put(pushed, "1", INDEX, EMPTY)
    assert store.results.refs() == {name: digest}
    for path in (pushed, name.removesuffix(":1")):
        assert shelf.tags(path) == ["1"]
        assert shelf.manifest(path, "1").digest == shelf.manifest(path, digest).digest == digest
    assert shelf.repositories() == [name.removesuffix(":1")]
    shelf.delete(pushed, digest)
    with pytest.raises(Refused):
        shelf.manifest(pushed, "1")
