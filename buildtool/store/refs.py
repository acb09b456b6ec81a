"""Refs: the names of finished images, kept as the `index.json` of the store's layout.

The file is the only truth about names, so a lost result index loses no name.  It
is replaced whole, under a lock, and `skopeo inspect oci:STORE:NAME` reads it.
"""

import fcntl
import json
import os
from typing import Any

from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest
from buildtool.store.faults import store_fault
from buildtool.store.stamps import locked

_REF_NAME = "org.opencontainers.image.ref.name"
_LARGEST = 16 << 20


class Refs:
    """The `index.json` of the store at `path`."""

    def __init__(self, path: str, lock: str) -> None:
        self._path = path
        self._lock = lock

    def all(self) -> dict[str, Digest]:
        """Every name and the manifest (or index) that it stands for, in the order of the names."""
        found = ((_name(entry), entry) for entry in self._entries())
        return {
            name: parse_digest(str(entry.get("digest"))) for name, entry in sorted(found, key=_first) if name
        }

    def get(self, name: str) -> Digest | None:
        """What `name` stands for, or None."""
        return self.all().get(name)

    def set(self, name: str, digest: Digest, size: int, media_type: str) -> None:
        """Let `name` stand for a manifest or index among the blobs, and for nothing else."""
        entry = {
            "mediaType": media_type,
            "digest": digest,
            "size": size,
            "annotations": {_REF_NAME: name},
        }
        self._replace(name, entry)

    def remove(self, name: str) -> None:
        """Forget `name` if it is known; its blobs stay until they are collected."""
        self._replace(name, None)

    def _replace(self, name: str, entry: dict[str, Any] | None) -> None:
        try:
            with locked(self._lock, fcntl.LOCK_EX):
                old = self._entries()
                new = [e for e in old if _name(e) != name] + ([entry] if entry else [])
                new.sort(key=lambda e: (_name(e), str(e.get("digest"))))
                if new != old:
                    self._write(new)
        except OSError as exc:
            raise store_fault(exc, f"naming {name!r} in the store") from exc

    def _entries(self) -> list[dict[str, Any]]:
        try:
            with open(f"{self._path}/index.json", "rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return []
        try:
            document = json.loads(data) if len(data) <= _LARGEST else None
        except ValueError:
            document = None
        found = document.get("manifests") if isinstance(document, dict) else None
        if not isinstance(found, list) or not all(isinstance(e, dict) for e in found):
            raise BuildError(
                "bad-store-index",
                f"{self._path}/index.json is not an image index",
                hint="move the file away: the names in it are lost, nothing else is",
                exit_status=1,
            )
        return found

    def _write(self, entries: list[dict[str, Any]]) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        }
        unfinished = f"{self._path}/index.json.new"
        with open(unfinished, "wb") as file:
            file.write(json.dumps(document, separators=(",", ":")).encode())
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, f"{self._path}/index.json")
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _name(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(_REF_NAME, "")) if isinstance(annotations, dict) else ""


def _first(pair: tuple[str, dict[str, Any]]) -> str:
    return pair[0]
