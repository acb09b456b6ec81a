"""Contexts: the Dockerfile of a build and the files that it may copy, wherever they are.

A folder of this machine is one, with its ignore file.  What comes from elsewhere
(a git repository, a tar archive by a URL or on standard input) becomes a step
whose files are copied from like those of a stage, so that, as in BuildKit, owners
in an archive stay and no ignore file is read.
"""

import io
import os
import posixpath
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from buildtool.address import public
from buildtool.diag import BuildError, Span
from buildtool.digest import Digest
from buildtool.graph.model import CopyAction, FetchSource, FileOp, GitSource, LiteralSource, Origin, Step
from buildtool.lock.model import FILE_NAME

if TYPE_CHECKING:
    from buildtool.cli.outside import Outside
    from buildtool.layers.entry import Entry
    from buildtool.store import Blobs

#: Bytes of the largest Dockerfile and of the largest ignore file.
LARGEST_TEXT = 4 << 20
_LARGEST_LOCK = 64 << 20
_CHUNK = 1 << 20
_MOST_LINKS = 40
_ARCHIVE = "context"


@dataclass(frozen=True, slots=True)
class Opened:
    """A Dockerfile by its text, and its context: a folder with the patterns that leave out, or else `files`.

    `lock` is the text of the lock that came with files from elsewhere.
    """

    text: bytes
    filename: str
    folder: str = ""
    ignore: tuple[str, ...] = ()
    files: Step | None = None
    lock: bytes = b""


def is_elsewhere(context: str) -> bool:
    """Whether a context is no folder of this machine: standard input, a git repository, or a URL."""
    from buildtool.frontends.dockerfile.remote import parse_git

    if context == "-" or context.startswith(("http://", "https://")):
        return True
    return not os.path.isdir(context) and parse_git(context, context=True) is not None


# ---------------------------------------------------------------- folders


def open_folder(path: str, folder: str, span: Span | None = None) -> Opened:
    """The Dockerfile at `path` (`-`: standard input) with a folder as its context.

    Where there is no `Dockerfile`, `dockerfile` will do.
    """
    found, small = path, os.path.join(os.path.dirname(path), "dockerfile")
    if os.path.basename(path) == "Dockerfile" and not os.path.exists(path) and os.path.exists(small):
        found = small
    text = read_dockerfile(found, span, "" if span else _other_ways(folder))
    filename = "Dockerfile" if path == "-" else os.path.relpath(found)
    return Opened(text, filename, os.path.abspath(folder), read_ignore(path, folder))


def _other_ways(folder: str) -> str:
    """What to do about a folder without its Dockerfile."""
    if os.path.exists(os.path.join(folder, "BUILD.star")):
        shown = os.path.relpath(folder)
        named = "this folder" if shown == "." else shown
        return f"{named} has a BUILD.star, whose targets are named //FOLDER:NAME, or :NAME in their folder"
    return "-f PATH names another Dockerfile"


def read_dockerfile(path: str, span: Span | None, hint: str = "") -> bytes:
    """The bytes of a Dockerfile, `-` for standard input; BuildError `no-dockerfile`."""
    if path == "-":
        return _bounded(sys.stdin.buffer.read(LARGEST_TEXT + 1), "the Dockerfile on standard input")
    try:
        with open(path, "rb") as file:
            return _bounded(file.read(LARGEST_TEXT + 1), path)
    except OSError as error:
        shown = os.path.relpath(path)
        raise BuildError(
            "no-dockerfile",
            f"cannot read {shown}: {error.strerror}",
            span=span,
            hint=hint,
        ) from error


def _bounded(text: bytes, name: str) -> bytes:
    if len(text) > LARGEST_TEXT:
        raise BuildError("dockerfile-too-large", f"{name} has more than {LARGEST_TEXT} bytes")
    return text


def read_ignore(dockerfile: str, folder: str) -> tuple[str, ...]:
    """The patterns for a context: of NAME.dockerignore beside the Dockerfile NAME, else of the context."""
    from buildtool.graph.ignore import parse_ignore

    places = [f"{dockerfile}.dockerignore"] if dockerfile not in ("", "-") else []
    for place in (*places, os.path.join(folder, ".dockerignore")):
        try:
            with open(place, "rb") as file:
                return parse_ignore(file.read(LARGEST_TEXT + 1), os.path.relpath(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BuildError("no-ignore-file", f"cannot read {place}: {error.strerror}") from error
    return ()


# ---------------------------------------------------------------- from elsewhere


def open_elsewhere(context: str, file: str, outside: "Outside", blobs: "Blobs", epoch: int) -> Opened:
    """A context from elsewhere; `file` is the path of its Dockerfile in it, `-` standard input."""
    from buildtool.frontends.dockerfile.adding import git_source
    from buildtool.frontends.dockerfile.remote import parse_git

    if context == "-":
        return _from_input(file, blobs, epoch)

    def commit(url: str, ref: str, beginning: str) -> str:
        """What the address means now: a main context has no lock to be pinned in."""
        found = outside.commit(url, ref)
        if not found.startswith(beginning):
            raise BuildError("checksum-mismatch", f"{public(url)} is at {found}, not {beginning}")
        return found

    reference = parse_git(context, context=True)
    if reference is not None:
        origin = Origin(f"context {reference.url}")
        source = git_source(reference, commit=commit, origin=origin)
        archive = outside.fetch_git(source)
        return _opened(git_files(source, epoch), archive, file, blobs, reference.url)
    pin = outside.file(context, None)
    name = public(context)
    if not _is_archive(blobs.open(pin.digest)):
        text = _bounded(blobs.read(pin.digest, LARGEST_TEXT + 1), name)
        alone = FetchSource(pin.digest, _ARCHIVE, mtime=pin.modified, size=pin.size, urls=(context,))
        return Opened(text, "Dockerfile", files=fetched_file(alone, epoch, f"context {name}"))
    return _opened(_unpacked(pin.digest, pin.size, epoch, name), pin.digest, file, blobs, name)


def git_files(source: GitSource, epoch: int) -> Step:
    """The files of a repository, as those of a stage."""
    return FileOp(None, (CopyAction(source, ("",), "/", wildcards=False),), epoch, source.origin)


def fetched_file(source: FetchSource, epoch: int, title: str) -> Step:
    """One file of a URL, as the only one of a stage."""
    action = CopyAction(source, (source.name,), "/", wildcards=False)
    return FileOp(None, (action,), epoch, Origin(title))


def _unpacked(archive: Digest, size: int, epoch: int, name: str) -> Step:
    origin = Origin(f"context {name}")
    source = FetchSource(archive, _ARCHIVE, size=size, origin=origin)
    action = CopyAction(source, (_ARCHIVE,), "/", unpack=True, wildcards=False)
    return FileOp(None, (action,), epoch, origin)


def _from_input(file: str, blobs: "Blobs", epoch: int) -> Opened:
    """Standard input: a tar archive of a context, or a Dockerfile that has none."""
    if file == "-":
        raise BuildError("bad-usage", "standard input is the context, so -f - has nothing to read")
    name = "standard input"
    start = sys.stdin.buffer.read(LARGEST_TEXT + 1)
    if not _is_archive(io.BytesIO(start)):
        return Opened(_bounded(start, f"the Dockerfile on {name}"), "Dockerfile", files=LiteralSource(()))
    with blobs.writer() as out:
        while start:
            out.write(start)
            start = sys.stdin.buffer.read(_CHUNK)
    return _opened(_unpacked(out.digest, out.size, epoch, name), out.digest, file, blobs, name)


def _is_archive(stream: BinaryIO) -> bool:
    from buildtool.layers.tarread import is_tar

    with stream:
        return is_tar(stream)


def _opened(files: Step, archive: Digest, file: str, blobs: "Blobs", where: str) -> Opened:
    """The Dockerfile and the lock that an archive has."""
    path = posixpath.normpath(f"/{file or 'Dockerfile'}").strip("/")
    text = _file_in(blobs, archive, path, LARGEST_TEXT)
    if text is None:
        raise BuildError(
            "no-dockerfile", f"there is no {path} in {where}", hint="-f PATH names another Dockerfile in it"
        )
    beside = posixpath.join(posixpath.dirname(path), FILE_NAME)
    return Opened(text, path, files=files, lock=_file_in(blobs, archive, beside, _LARGEST_LOCK) or b"")


def _file_in(blobs: "Blobs", archive: Digest, path: str, limit: int) -> bytes | None:
    """The bytes of a file in an archive, its links followed inside it; None if there is none."""
    from buildtool.layers.entry import Kind
    from buildtool.layers.tree import resolve_links

    links: dict[bytes, bytes] = {}
    for entry, _ in _entries(blobs, archive):
        if entry.kind is Kind.SYMLINK:
            links[entry.path] = entry.linkname
    wanted = resolve_links(links.get, os.fsencode(path), follow_last=True)
    found = None
    for entry, stream in _entries(blobs, archive):
        if entry.path == wanted:
            found = stream.read(limit + 1) if stream is not None else None
    if found is not None and len(found) > limit:
        raise BuildError("dockerfile-too-large", f"{path} has more than {limit} bytes")
    return found


def _entries(blobs: "Blobs", archive: Digest) -> "Iterator[tuple[Entry, BinaryIO | None]]":
    from buildtool.layers.tarread import read_tar

    with blobs.open(archive) as stream:
        yield from read_tar(stream, inside=True)
