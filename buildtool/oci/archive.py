"""Archives of layouts: one deterministic tar file to write, and any layout's tar file to read.

What is written depends on the images alone: entries in bytewise order of their
names, mode 0644 or 0755, owner 0:0, time 0, ustar headers (a PAX record only for
a file of 8 GiB and more), two zero blocks at the end and no padding behind them.
A `docker` archive has `manifest.json` as well, which `docker load` and `podman
load` of any age understand.
"""

import io
import json
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from buildtool.diag import BuildError
from buildtool.digest import hex_of
from buildtool.oci.export import (
    Export,
    copy,
    entries_of,
    index_json,
    needed,
    oci_layout_json,
    tagged,
)
from buildtool.oci.model import LARGEST_DOCUMENT, Manifest, decode_manifest
from buildtool.store import Blobs

_BLOCK = 512
_MOST_ENTRIES = 100_000
_OCTAL_LIMIT = 8**11


# ---------------------------------------------------------------- writing


def write_archive(sink: BinaryIO, exports: Sequence[Export], blobs: Blobs, *, docker: bool = False) -> None:
    """Write images as a tar archive of a layout; with `docker`, one that `docker load` takes.

    BuildError of the store's blobs, and `docker-needs-one-platform` when a name of a
    `docker` archive would stand for several platforms.
    """
    sizes = needed(exports, blobs)
    documents = {"index.json": index_json(entries_of(exports)), "oci-layout": oci_layout_json()}
    if docker:
        documents["manifest.json"] = _docker_manifest(exports, blobs)
    for folder in ("blobs/", "blobs/sha256/"):
        sink.write(_header(folder, 0, b"5", 0o755))
    for digest, size in sizes.items():
        sink.write(_header(f"blobs/sha256/{hex_of(digest)}", size, b"0", 0o644))
        with blobs.open(digest) as blob:
            written = copy(blob, sink)
        if written != size:
            raise BuildError(
                "corrupt-blob", f"{digest} has {written} bytes, its descriptor says {size}", exit_status=1
            )
        sink.write(bytes(-size % _BLOCK))
    for name in sorted(documents):
        data = documents[name]
        sink.write(_header(name, len(data), b"0", 0o644) + data + bytes(-len(data) % _BLOCK))
    sink.write(bytes(2 * _BLOCK))


def _docker_manifest(exports: Sequence[Export], blobs: Blobs) -> bytes:
    """`manifest.json` of "Docker Image Specification v1.2", whose paths may be any in the archive."""
    rows = []
    for export in exports:
        data = blobs.read(export.digest, LARGEST_DOCUMENT)
        document = decode_manifest(data, export.media_type, f"manifest {export.digest}")
        if not isinstance(document, Manifest):
            raise BuildError(
                "docker-needs-one-platform",
                "an archive for docker load holds one platform of an image",
                hint="choose one with --platform, or use type=oci",
            )
        rows.append(
            {
                "Config": f"blobs/sha256/{hex_of(document.config.digest)}",
                "RepoTags": sorted(tagged(name) for name in export.names),
                "Layers": [f"blobs/sha256/{hex_of(layer.digest)}" for layer in document.layers],
            }
        )
    return json.dumps(rows, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _header(name: str, size: int, kind: bytes, mode: int) -> bytes:
    """A ustar header (POSIX.1-1988) that depends on nothing but its arguments."""
    before = b""
    if size >= _OCTAL_LIMIT:
        record = f" size={size}\n"
        length = len(record) + len(str(len(record) + 2))
        pax = f"{length}{record}".encode()
        before = _header("pax", len(pax), b"x", 0o644) + pax + bytes(-len(pax) % _BLOCK)
    fields = b"".join(
        (
            name.encode().ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            b"%011o\0" % (size if size < _OCTAL_LIMIT else 0),
            b"%011o\0" % 0,
            b" " * 8,
            kind,
            bytes(100),
            b"ustar\0" + b"00",
            bytes(64),
            b"%07o\0" % 0,
            b"%07o\0" % 0,
        )
    ).ljust(_BLOCK, b"\0")
    return before + fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    size: int


class ArchiveFiles:
    """The files of an uncompressed tar archive, read where they are; BuildError `bad-layout`.

    A symbolic link stands for the file of the archive that it leads to; a second link is not followed.
    """

    def __init__(self, path: str, name: str = "") -> None:
        self.name = name or path
        self._path = path
        with open(path, "rb") as file:
            self._places = dict(_places(file, self.name))
        if not self._places:
            raise _not_tar(self.name)

    def __contains__(self, path: str) -> bool:
        return self._place(path) is not None

    def open(self, path: str) -> tuple[BinaryIO, int]:
        place = self._place(path)
        if place is None:
            raise FileNotFoundError(path)
        file = open(self._path, "rb")  # noqa: SIM115 the window owns it
        return cast(BinaryIO, io.BufferedReader(_Window(file, place))), place.size

    def _place(self, path: str) -> _Place | None:
        found = self._places.get(path)
        if isinstance(found, str):
            # Only a key to look up: nothing outside of the archive can be meant.
            found = self._places.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), found)))
        return found if isinstance(found, _Place) else None

    def blobs(self) -> list[str]:
        prefix = "blobs/sha256/"
        return sorted(path.removeprefix(prefix) for path in self._places if path.startswith(prefix))


class _Window(io.RawIOBase):
    """A part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, place: _Place) -> None:
        self._file = file
        self._file.seek(place.offset)
        self._left = place.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _places(file: BinaryIO, name: str) -> Iterator[tuple[str, _Place | str]]:
    """Every file of an archive, and the targets of links; a later entry of the same name wins, as in tar.

    Names of other forms than ustar's (PAX or GNU long names) are passed over: no
    file of a layout needs one.
    """
    end = os.fstat(file.fileno()).st_size
    size_said: int | None = None
    for _ in range(_MOST_ENTRIES):
        header = file.read(_BLOCK)
        if len(header) < _BLOCK or not any(header):
            return
        if _number(header[148:156], name) != sum(header[:148]) + 256 + sum(header[156:]):
            raise _not_tar(name)
        size = size_said if size_said is not None else _number(header[124:136], name)
        size_said = None
        offset = file.tell()
        if offset + size > end:
            raise BuildError("bad-layout", f"the archive {name} is cut off", exit_status=1)
        if header[156:157] == b"x":
            size_said = _pax_size(file.read(min(size, LARGEST_DOCUMENT)))
        elif header[156:157] in (b"0", b"\0", b"2"):
            path = _text(header[:100])
            prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
            full = f"{prefix}/{path}" if prefix else path
            link = header[156:157] == b"2"
            yield full.removeprefix("./"), _text(header[157:257]) if link else _Place(offset, size)
        file.seek(offset + size + -size % _BLOCK)
    raise BuildError("bad-layout", f"the archive {name} has more than {_MOST_ENTRIES} entries")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes, name: str) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    # Python's own int() would take signs and underscores too.
    if digits.strip(b"01234567"):
        raise _not_tar(name)
    return int(digits, 8)


def _pax_size(data: bytes) -> int | None:
    for row in data.split(b"\n"):
        key, _, value = row.partition(b" ")[2].partition(b"=")
        if key == b"size" and value.isdigit() and len(value) < 20:
            return int(value)
    return None


def _not_tar(name: str) -> BuildError:
    return BuildError(
        "bad-layout",
        f"{name} is not a tar archive of an image layout",
        hint="it is what docker, podman or skopeo save; `buildtool load` takes compressed ones too",
    )
