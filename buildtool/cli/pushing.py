"""Pushing images of the store to registries under names, for `push`, `copy` and `build --push`."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from buildtool.cli.telling import telling
from buildtool.digest import Digest, key_of
from buildtool.executor.progress import Progress
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.oci.model import Descriptor
    from buildtool.reference import Reference
    from buildtool.registry.client import Registries


def push_all(
    descriptor: "Descriptor",
    references: "Sequence[Reference]",
    registries: "Registries",
    store: Store,
    progress: Progress,
) -> tuple[str, ...]:
    """Push an image or index under every reference; the references, with the digest that they have there.

    References of one repository are pushed together.
    """
    from buildtool.registry.push import Pusher

    groups: dict[str, list[Reference]] = {}
    for reference in dict.fromkeys(references):
        groups.setdefault(reference.repository, []).append(reference)
    for repository, group in groups.items():
        host = group[0].host
        pusher = Pusher(registries.writing(group[0]), store.blobs, partial(known_path, store, host))
        with telling(progress, f"push {', '.join(r.short for r in group)}", "push") as told:
            pushed = pusher.push(descriptor, [r.tag for r in group if r.tag], told.upload)
            told.size = pushed.size or None
        remember_paths(store, host, repository.removeprefix(f"{host}/"), pushed.blobs)
    return tuple(f"{r.short}@{descriptor.digest}" for r in references)


def known_path(store: Store, host: str, digest: Digest) -> str:
    """The path of a repository of a registry that was seen to have a blob; empty for none."""
    return (store.results.get(_where(host, digest)) or b"").decode()


def remember_paths(store: Store, host: str, path: str, blobs: Sequence[Digest]) -> None:
    """Remember that a repository has blobs, so that others of its registry can mount them."""
    with store.results.batch():
        for digest in blobs:
            store.results.put(_where(host, digest), "blob-at", path.encode())


def _where(host: str, digest: Digest) -> str:
    return key_of(["blob-at", host, digest])
