"""Archives of other people's making taken apart, and files put together, for a layer.

Unlike ADD, nothing of the packer's machine is kept: owners are 0:0, and with `plain`
neither times nor unusual modes are.
"""

import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from buildtool.diag import BuildError
from buildtool.executor.patterns import has_wildcards, matches
from buildtool.executor.steps.archives import Spool, apply_entries, readable_path
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.trees import Item, SourceTree, resolve
from buildtool.executor.work import JoinWork, UnpackWork
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, FileContent, Kind, display

if TYPE_CHECKING:
    import zipfile

#: Bounds of a zip archive: entries, and bytes of all its files.
MOST_ENTRIES = 400_000
MOST_BYTES = 16 << 30
_LARGEST_JOINED = 64 << 20

Entries = Iterator[tuple[Entry, BinaryIO | None]]


def only_file(source: SourceTree) -> tuple[bytes, str]:
    """The name of the one file of a source, in whatever folder, and a path by which to open it."""
    path = b""
    while len(names := source.names(path)) == 1:
        path = path + b"/" + names[0] if path else names[0]
        item = source.lookup(path)
        if item is not None and isinstance(item.content, FileContent):
            return names[0], readable_path(item.content)
    raise BuildError("no-archive", "what is to be unpacked is not one file", exit_status=1)


def unpack_archive(work: UnpackWork, source: SourceTree, draft: LayerDraft, spool: Spool, epoch: int) -> None:
    """Carry an UnpackArchiveAction out; BuildError `bad-archive`, `unsafe-archive`, `nothing-to-unpack`."""
    name, path = only_file(source)
    root = make_folders(draft, work.dest.encode(), 0, 0, 0o755, epoch)
    with open(path, "rb") as file:
        taken = _Stripped(tuple(p for p in work.strip.split("/") if p))
        entries = taken.of(_entries(file, epoch))
        if work.plain:
            entries = _plain(entries, epoch)
        apply_entries(entries, draft, root, spool, owner=(0, 0), through_links=False, epoch=epoch)
    if not taken.found:
        inside = f" below {work.strip!r}" if work.strip else ""
        raise BuildError("nothing-to-unpack", f"{display(name)} holds nothing{inside}", exit_status=1)
    for wanted in work.executable:
        _make_executable(draft, draft.resolve(root + b"/" + wanted.encode()))


def _entries(file: BinaryIO, epoch: int) -> Entries:
    from buildtool.layers.tarread import read_tar

    magic = file.read(4)
    file.seek(0)
    if magic in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_entries(file, epoch)
    return read_tar(file)


def _zip_entries(file: BinaryIO, epoch: int) -> Entries:
    """The entries of a zip archive; its times have no zone, so that they are as good as none."""
    with opened_zip(file) as archive:
        for info in archive.infolist():
            path = safe_name(info.filename)
            mode = (info.external_attr >> 16) & 0xFFFF
            if info.is_dir():
                yield Entry(path, Kind.DIR, 0o755, 0, 0, epoch), None
            elif stat.S_ISLNK(mode):
                target = archive.read(info)[:4096]
                yield Entry(path, Kind.SYMLINK, 0o777, 0, 0, epoch, linkname=target), None
            else:
                with archive.open(info) as stream:
                    permission = 0o755 if mode & 0o111 else 0o644
                    yield (
                        Entry(path, Kind.FILE, permission, 0, 0, epoch, info.file_size),
                        stream,  # type: ignore[misc]
                    )


def opened_zip(file: BinaryIO) -> "zipfile.ZipFile":
    """A zip archive within our bounds; BuildError `bad-archive`."""
    import zipfile

    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as e:
        raise BuildError("bad-archive", f"the zip archive cannot be read: {e}", exit_status=1) from e
    if len(infos) > MOST_ENTRIES or sum(i.file_size for i in infos) > MOST_BYTES:
        raise BuildError("bad-archive", "the zip archive is larger than is allowed", exit_status=1)
    if any(i.flag_bits & 1 for i in infos):
        raise BuildError("bad-archive", "the zip archive is encrypted", exit_status=1)
    return archive


def safe_name(name: str) -> bytes:
    """The path of an entry without `.`, empty parts and a slash at its end; BuildError `unsafe-archive`."""
    parts = [p for p in name.split("/") if p not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise BuildError(
            "unsafe-archive", f"the archive holds {name!r}, which leads out of it", exit_status=1
        )
    return "/".join(parts).encode("utf-8", "surrogateescape")


class _Stripped:
    """What lies in one folder of an archive; `found` says whether anything did."""

    def __init__(self, folder: tuple[str, ...]) -> None:
        self._folder = [None if p == "*" else p.encode() for p in folder]
        self.found = False

    def of(self, entries: Entries) -> Entries:
        """The entries in the folder, named from there."""
        for entry, stream in entries:
            path = self._inside(entry.path)
            if path is None:
                continue
            self.found = self.found or bool(path)
            if entry.kind is Kind.HARDLINK:
                target = self._inside(entry.linkname)
                if not target:
                    raise BuildError(
                        "bad-archive",
                        f"{display(entry.path)} is one file with {display(entry.linkname)}, "
                        "which is not in the folder that is taken",
                        exit_status=1,
                    )
                entry = entry._replace(linkname=target)
            yield entry._replace(path=path), stream

    def _inside(self, path: bytes) -> bytes | None:
        parts = path.split(b"/") if path else []
        depth = len(self._folder)
        if len(parts) < depth or any(
            w not in (None, p) for w, p in zip(self._folder, parts[:depth], strict=True)
        ):
            return None
        return b"/".join(parts[depth:])


def _plain(entries: Entries, epoch: int) -> Entries:
    for entry, stream in entries:
        mode = 0o755 if entry.kind is Kind.DIR or entry.mode & 0o111 else 0o644
        yield entry._replace(mode=0o777 if entry.kind is Kind.SYMLINK else mode, mtime=epoch), stream


def _make_executable(draft: LayerDraft, path: bytes) -> None:
    entry = draft.lookup(path)
    # A program that the archive does not hold is the packer's mistake, and npm passes over it too.
    if entry is not None and entry.kind is Kind.FILE:
        draft.add(entry._replace(mode=0o755), draft.content(path))


# ---------------------------------------------------------------- joining


def join_files(work: JoinWork, source: SourceTree, draft: LayerDraft, spool: Spool, epoch: int) -> None:
    """Carry a JoinAction out; BuildError `source-not-found` for a path or a pattern without a file."""
    paths: set[bytes] = set()
    for wanted in work.paths:
        found = _matching(source, wanted.strip("/"))
        if not found:
            raise BuildError("source-not-found", f"there is no file {wanted!r} to join", exit_status=1)
        paths.update(found)
    data = bytearray()
    for path in sorted(paths):
        data += _bytes_of(source, path)
        if data and not data.endswith(b"\n"):
            data += b"\n"
        if len(data) > _LARGEST_JOINED:
            raise BuildError("file-too-large", f"{work.dest} becomes too large to be joined", exit_status=1)
    parent, _, name = work.dest.encode().strip(b"/").rpartition(b"/")
    folder = make_folders(draft, parent, 0, 0, 0o755, epoch)
    target = folder + b"/" + name if folder else name
    draft.add(Entry(target, Kind.FILE, work.mode, 0, 0, epoch, len(data)), bytes(data))


def _matching(source: SourceTree, pattern: str) -> list[bytes]:
    if not has_wildcards(pattern):
        real = resolve(source, pattern.encode())
        return [real] if real is not None and _is_file(source.lookup(real)) else []
    folder, _, last = pattern.rpartition("/")
    base = resolve(source, folder.encode())
    if base is None:
        return []
    names = (n for n in source.names(base) if matches(last, n.decode("utf-8", "surrogateescape")))
    paths = (base + b"/" + n if base else n for n in names)
    return [p for p in paths if _is_file(source.lookup(p))]


def _is_file(item: Item | None) -> bool:
    return item is not None and item.kind is Kind.FILE


def _bytes_of(source: SourceTree, path: bytes) -> bytes:
    item = source.lookup(path)
    assert item is not None
    if isinstance(item.content, bytes):
        return item.content
    if isinstance(item.content, FileContent):
        with open(readable_path(item.content), "rb") as file:
            return file.read(_LARGEST_JOINED + 1)
    if item.content is None:
        return b""
    with open(item.content.path, "rb") as file:
        file.seek(item.content.offset)
        return file.read(item.content.size)
