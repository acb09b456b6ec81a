"""Accounts in the store: what each image was made of when it was last built."""

from collections.abc import Iterator

import msgspec

from buildtool.digest import key_of
from buildtool.executor.local import Listing, Row, scan
from buildtool.graph.account import Change, Entry, account, changes
from buildtool.graph.ignore import IgnoreMatcher
from buildtool.graph.model import Image, Index, LocalSource
from buildtool.store import Store

_MOST_FILES = 10


class _Digest(msgspec.Struct):
    digest: str


class Accounts:
    """The accounts of one workspace or context, which `place` names."""

    def __init__(self, store: Store, place: str) -> None:
        self._store = store
        self._place = place

    def keep(self, root: Image | Index) -> None:
        """Remember what an image was just built from; its sources have been listed."""
        name, data = self._name(root), msgspec.msgpack.encode(account(root, self.listed))
        if self._store.results.get(name) != data:
            self._store.results.put(name, "account", data)

    def changes(self, root: Image | Index) -> list[Change] | None:
        """What differs from the last build; None where none is known."""
        data = self._store.results.get(self._name(root))
        if data is None:
            return None
        fresh: dict[str, tuple[LocalSource, Listing]] = {}

        def scanned(source: LocalSource) -> str:
            ignore = IgnoreMatcher(source.ignore) if source.ignore else None
            listing = scan(source.folder, source.include, ignore, self._listing(source), 0)
            fresh[listing.digest] = source, listing
            return listing.digest

        def files(old: Entry, new: Entry) -> Iterator[str]:
            source, listing = fresh[new.content]
            before = self._listing(source)
            if before is not None and before.digest == old.content:
                yield from _files(before.rows, listing.rows)

        old = msgspec.msgpack.decode(data, type=tuple[Entry, ...])
        return changes(old, account(root, scanned), files)

    def _name(self, root: Image | Index) -> str:
        image = root.images[0] if isinstance(root, Index) else root
        title = root.origin.title if root.origin else ""
        return key_of(["account", self._place, title, str(image.platform)])

    def listed(self, source: LocalSource) -> str:
        """The digest of a source's files when they were last listed; empty where they were not."""
        data = self._store.results.get(_listing_name(source))
        return msgspec.msgpack.decode(data, type=_Digest).digest if data is not None else ""

    def _listing(self, source: LocalSource) -> Listing | None:
        data = self._store.results.get(_listing_name(source))
        return msgspec.msgpack.decode(data, type=Listing) if data is not None else None


def _listing_name(source: LocalSource) -> str:
    return key_of({"listing": [source.folder, list(source.include), list(source.ignore)]})


def _files(old: list[Row], new: list[Row]) -> Iterator[str]:
    before, after = ({r.path: (r.kind, r.mode, r.first or r.detail) for r in rows} for rows in (old, new))
    rows = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            what = "new" if path not in before else "gone" if path not in after else "changed"
            if what == "changed" and before[path][::2] == after[path][::2]:
                what = f"mode {before[path][1]:o} -> {after[path][1]:o}"
            rows.append(f"{path.decode('utf-8', 'replace')}: {what}")
    yield from rows[:_MOST_FILES]
    if len(rows) > _MOST_FILES:
        yield f"... and {len(rows) - _MOST_FILES} files more"
