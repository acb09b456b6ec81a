"""Local files: what of a folder takes part in a build, and a digest that says so.

A *listing* is the rows of everything that a `LocalSource` includes, in bytewise
path order.  Its digest covers path, kind, mode, link target, content and which
rows are hard links of each other; not owner or times, because a layer takes
neither from a local folder.  A row also remembers what the file's inode looked
like, so that a file that changes during the build is noticed, and so that the
next scan need not read a file again.

Identity of a row, hashed in order: `kind mode detail path` and a newline, where
`detail` is the content's BLAKE3, the link's target or the path of the first hard
link, and `detail` and `path` are netstrings.
"""

import os
import stat
from collections.abc import Iterator

import msgspec
from blake3 import blake3

from buildtool.diag import BuildError
from buildtool.executor.patterns import has_wildcards, matches, split_wildcards
from buildtool.graph.ignore import IgnoreMatcher

FILE, FOLDER, LINK, FIFO, CHAR, BLOCK = "f", "d", "l", "p", "c", "b"

_MOST_ROWS = 5_000_000
_MOST_LINKS = 40
#: A file changed this recently (nanoseconds) could change again without its times showing it.
_RACY = 100_000_000
_CHUNK = 1 << 20


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One file of a folder; `detail` is the digest of a file's bytes or a link's target."""

    path: bytes
    kind: str
    mode: int
    size: int
    detail: bytes
    first: bytes
    rdev: int
    inode: int
    mtime_ns: int
    ctime_ns: int


class Listing(msgspec.Struct, frozen=True):
    """The rows of a source and their digest."""

    digest: str
    rows: list[Row]


def scan(
    folder: str, include: tuple[str, ...], ignore: IgnoreMatcher | None, known: Listing | None, now_ns: int
) -> Listing:
    """List what `include` names in a folder; rows of `known` spare reading unchanged files.

    A path that is not there gives no rows: whether that is an error is for the
    step that wants it.
    """
    scanner = _Scanner(folder, ignore, known, now_ns)
    for path in include:
        scanner.include(path)
    return scanner.listing()


def identity_of(rows: list[Row]) -> str:
    """The digest of the rows, hexadecimal."""
    hasher = blake3()
    part = bytearray()
    for row in rows:
        detail = row.first or row.detail
        part += b"%b%o %o %d:%b %d:%b\n" % (
            row.kind.encode(),
            row.mode,
            row.rdev,
            len(detail),
            detail,
            len(row.path),
            row.path,
        )
        if len(part) > 1 << 20:
            hasher.update(part)
            part = bytearray()
    hasher.update(part)
    return hasher.hexdigest()


def unchanged(folder: bytes, rows: Iterator[Row] | list[Row]) -> str | None:
    """The first path whose inode no longer is what the scan saw, or None."""
    for row in rows:
        if row.kind == FOLDER:
            continue
        try:
            st = os.lstat(folder + b"/" + row.path)
        except OSError:
            return _text_of(row.path)
        if (st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns) != (
            row.inode,
            row.size,
            row.mtime_ns,
            row.ctime_ns,
        ):
            return _text_of(row.path)
    return None


class _Scanner:
    def __init__(self, folder: str, ignore: IgnoreMatcher | None, known: Listing | None, now_ns: int) -> None:
        self.root = os.fsencode(folder)
        self.ignore = ignore
        self.known = {r.path: r for r in known.rows} if known else {}
        self.now_ns = now_ns
        self.rows: dict[bytes, Row] = {}
        self.linked: dict[tuple[int, int], list[Row]] = {}

    def include(self, path: str) -> None:
        """Take in a source path: the links on its way, what they lead to, and all below."""
        fixed, pattern = split_wildcards(path)
        if not pattern:
            self._follow(_bytes_of(_unescaped(path)))
            return
        base = self._resolve(_bytes_of(_unescaped(fixed)), 0)
        if base is None:
            return
        if "**" in pattern:
            # Only --parents crosses folders with it; what is too much here, the copy does not take.
            self._follow(base)
            return
        depth = pattern.count("/") + 1
        for found in self._candidates(base, pattern, depth):
            self._follow(found)

    def _candidates(self, base: bytes, pattern: str, depth: int) -> list[bytes]:
        found, todo = [], [(base, 0)]
        while todo:
            folder, level = todo.pop()
            for entry in self._entries(folder):
                path = folder + b"/" + entry.name if folder else entry.name
                relative = _text_of(path[len(base) + 1 if base else 0 :])
                if matches(pattern, relative):
                    found.append(path)
                elif level + 1 < depth and entry.is_dir(follow_symlinks=False):
                    todo.append((path, level + 1))
        return sorted(found)

    def _follow(self, path: bytes) -> None:
        real = self._resolve(path, 0)
        if real is None:
            return
        try:
            st = os.lstat(self.root + b"/" + real)
        except (FileNotFoundError, NotADirectoryError):
            return
        if real:
            self._take(real, st)
        if stat.S_ISDIR(st.st_mode):
            self._below(real)

    def _resolve(self, path: bytes, depth: int) -> bytes | None:
        """The path with its links followed inside the folder; the links become rows."""
        if depth > _MOST_LINKS:
            raise BuildError("link-loop", f"{_text_of(path)!r} goes through too many links")
        done: list[bytes] = []
        parts = [p for p in path.split(b"/") if p not in (b"", b".")]
        for n, part in enumerate(parts):
            if part == b"..":
                del done[-1:]
                continue
            here = b"/".join([*done, part])
            try:
                st = os.lstat(self.root + b"/" + here)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if stat.S_ISLNK(st.st_mode):
                self._take(here, st)
                target = os.readlink(self.root + b"/" + here)
                start = [] if target.startswith(b"/") else done
                return self._resolve(b"/".join([*start, target, *parts[n + 1 :]]), depth + 1)
            done.append(part)
        return b"/".join(done)

    def _below(self, top: bytes) -> None:
        todo = [top]
        while todo:
            folder = todo.pop()
            prefix = folder + b"/" if folder else b""
            for entry in self._entries(folder):
                path = prefix + entry.name
                is_dir = entry.is_dir(follow_symlinks=False)
                if self.ignore is not None and self.ignore.matches(_text_of(path)):
                    if is_dir and self.ignore.may_contain_included(_text_of(path)):
                        todo.append(path)
                    continue
                self._put(path, entry.stat(follow_symlinks=False))
                if is_dir:
                    todo.append(path)

    def _entries(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        try:
            with os.scandir(self.root + b"/" + folder) as entries:
                return list(entries)
        except NotADirectoryError:
            return []
        except PermissionError as e:
            raise _unreadable(folder) from e

    def _take(self, path: bytes, st: os.stat_result) -> None:
        if self.ignore is None or not self.ignore.matches(_text_of(path)):
            self._put(path, st)

    def _put(self, path: bytes, st: os.stat_result) -> None:
        if path in self.rows:
            return
        if len(self.rows) >= _MOST_ROWS:
            raise BuildError("context-too-large", f"the context has more than {_MOST_ROWS} files")
        kind = _KINDS[stat.S_IFMT(st.st_mode)]
        row = Row(
            path,
            kind,
            stat.S_IMODE(st.st_mode),
            st.st_size,
            self._detail(path, kind, st),
            b"",
            st.st_rdev if kind in (CHAR, BLOCK) else 0,
            st.st_ino,
            st.st_mtime_ns,
            st.st_ctime_ns,
        )
        self.rows[path] = row
        if st.st_nlink > 1 and kind == FILE:
            self.linked.setdefault((st.st_dev, st.st_ino), []).append(row)

    def _detail(self, path: bytes, kind: str, st: os.stat_result) -> bytes:
        full = self.root + b"/" + path
        if kind == LINK:
            return os.readlink(full)
        if kind != FILE:
            return b""
        if stat.S_ISSOCK(st.st_mode):
            return blake3().digest()
        old = self.known.get(path)
        if (
            old is not None
            and old.kind == FILE
            and (old.inode, old.size, old.mtime_ns, old.ctime_ns)
            == (st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
            and st.st_ctime_ns + _RACY < self.now_ns
        ):
            return old.detail
        return _content_digest(full, path, st.st_size)

    def listing(self) -> Listing:
        """Everything taken in and the folders above it, in path order, hard links after their first path."""
        for path in list(self.rows):
            while (path := path.rpartition(b"/")[0]) and path not in self.rows:
                self._put(path, os.lstat(self.root + b"/" + path))
        for group in self.linked.values():
            names = sorted(r.path for r in group)
            for row in group:
                if row.path != names[0]:
                    self.rows[row.path] = msgspec.structs.replace(row, first=names[0])
        rows = [self.rows[p] for p in sorted(self.rows)]
        return Listing(identity_of(rows), rows)


#: What a file is in a listing; a socket is an empty file, as with BuildKit.
_KINDS = {
    stat.S_IFSOCK: FILE,
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: LINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK,
}


def _content_digest(full: bytes, path: bytes, size: int) -> bytes:
    try:
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise _unreadable(path) from e
    try:
        data = os.read(fd, min(size + 1, _CHUNK))
        hasher = blake3(data)
        # A file that is as long as it was said to be is read with one call.
        while len(data) == _CHUNK or len(data) > size:
            data = os.read(fd, _CHUNK)
            hasher.update(data)
            size = 0
        return hasher.digest()
    finally:
        os.close(fd)


# Dockerfiles and patterns are UTF-8 whatever the locale: so are the paths that they name.


def _bytes_of(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text_of(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _unescaped(path: str) -> str:
    return path if has_wildcards(path) or "\\" not in path else path.replace("\\", "")


def _unreadable(path: bytes) -> BuildError:
    return BuildError(
        "unreadable-file",
        f"{_text_of(path)!r} in the context cannot be read",
        hint="give yourself permission to read it, or name it in .dockerignore",
    )
