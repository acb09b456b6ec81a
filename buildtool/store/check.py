"""Checking a whole store: every blob is read, every name and row is followed."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.store.folder import Store

#: Bytes of the largest manifest or index that is followed.
LARGEST_MANIFEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: `code` is stable, `subject` is a digest, a name or a path in the store."""

    code: str
    subject: str
    message: str


def check(store: Store) -> list[Problem]:
    """All problems of a store, in a fixed order.  Corrupt blobs are removed, as any reader does.

    Codes: `corrupt-blob`, `stray-file`, `bad-store-index`, `dangling-ref` (a name
    whose manifest or what it names is missing), `dangling-layer` (a row whose blob
    is missing; harmless), `broken-index`.
    """
    problems = [*_blobs(store), *_refs(store)]
    try:
        for diff_id, digest in store.results.database.select(
            "SELECT diff_id, digest FROM layer_blobs ORDER BY 1, 2"
        ):
            if not os.path.exists(store.blobs.path(digest)):
                problems.append(Problem("dangling-layer", diff_id, f"its blob {digest} is missing"))
        verdict = [row[0] for row in store.results.database.select("PRAGMA integrity_check(10)")]
        if verdict != ["ok"]:
            problems.append(Problem("broken-index", "index.sqlite", "; ".join(map(str, verdict))))
    except BuildError as exc:
        problems.append(Problem("broken-index", "index.sqlite", exc.message))
    return problems


def _blobs(store: Store) -> Iterator[Problem]:
    known = set()
    for digest in store.blobs.digests():
        known.add(digest[7:])
        try:
            with store.blobs.open(digest) as blob:
                while blob.read(1 << 20):
                    pass
        except BuildError as exc:
            yield Problem(exc.code, digest, exc.message)
    for name in sorted(os.listdir(store.blobs.folder)):
        if name not in known:
            yield Problem("stray-file", f"blobs/sha256/{name}", "its name is not a digest")


def _refs(store: Store) -> Iterator[Problem]:
    try:
        names = store.results.refs()
    except BuildError as exc:
        yield Problem("bad-store-index", "index.json", exc.message)
        return
    there = set(store.blobs.digests())
    for name, digest in names.items():
        for missing in sorted(_needed(store, digest) - there):
            yield Problem("dangling-ref", name, f"{missing} is missing")


def _needed(store: Store, root: Digest) -> set[Digest]:
    """The digests that a manifest or index names, itself included, as far as its documents can be read."""
    seen: set[Digest] = set()
    waiting = [root]
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            document = json.loads(store.blobs.read(digest, LARGEST_MANIFEST))
        except (BuildError, ValueError):
            continue
        if isinstance(document, dict):
            seen.update(_digests(document, ("config", "layers")))
            waiting += _digests(document, ("manifests",))
    return seen


def reachable(store: Store) -> set[Digest]:
    """Every blob that some name of the store needs."""
    return {digest for root in store.results.refs().values() for digest in _needed(store, root)}


def _digests(document: dict[str, Any], fields: tuple[str, ...]) -> list[Digest]:
    found = []
    for field in fields:
        value = document.get(field)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("digest"), str):
                try:
                    found.append(parse_digest(item["digest"]))
                except BuildError:
                    continue
    return found
