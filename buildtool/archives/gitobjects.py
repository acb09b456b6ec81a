"""Objects of a git repository, read one by one; and the `.git` of a single commit, made of them."""

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from buildtool.address import public
from buildtool.archives.gitcommand import GitCommand
from buildtool.diag import BuildError
from buildtool.layers.entry import Content, Entry, FileSlice, Kind

_ROW = re.compile(rb"([0-7]{6}) [a-z]+ ([0-9a-f]{40,64})\t(.*)", re.S)
_LARGEST_OBJECT = 2 << 30
_STORED = 65535


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of `git ls-tree`: mode, name of the object, path."""

    mode: str
    name: str
    path: bytes


def fetch(git: GitCommand, address: str, commit: str) -> None:
    """Bring a commit and its tree; a server that gives no single commit gives all branches and tags."""
    try:
        git.run("fetch", "-q", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", address, commit)
    except BuildError:
        git.run(
            "fetch", "-q", "--no-write-fetch-head", "--", address, "+refs/heads/*:refs/all/heads/*",
            "+refs/tags/*:refs/all/tags/*",
        )  # fmt: skip
    try:
        found = git.run("rev-parse", "--verify", "-q", f"{commit}^{{commit}}").decode().strip()
    except BuildError:
        found = ""
    if found != commit:
        raise BuildError("no-git-commit", f"{public(address)} has no commit {commit}", exit_status=1)


def listed(git: GitCommand, commit: str) -> list[Listed]:
    """Everything in the tree of a commit."""
    rows = []
    for text in git.run("ls-tree", "-r", "-t", "-z", "--full-tree", commit).split(b"\0"):
        found = _ROW.fullmatch(text)
        if found is not None:
            rows.append(Listed(found[1].decode(), found[2].decode(), _sound(found[3])))
    return rows


def _sound(path: bytes) -> bytes:
    """A path of a tree that can be one of a root filesystem; git itself refuses to write others."""
    if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in path.split(b"/")):
        raise BuildError("bad-git-tree", f"the repository has a file of the name {path[:200]!r}")
    return path


@contextmanager
def objects(git: GitCommand) -> Iterator[Callable[[str], bytes]]:
    """What reads objects by their names."""
    with git.conversation("cat-file", "--batch") as (ask, answer):
        yield lambda name: _read(ask, answer, name)[1]


def _read(ask: IO[bytes], answer: IO[bytes], name: str) -> tuple[str, bytes]:
    """The type and the bytes of an object."""
    ask.write(name.encode() + b"\n")
    ask.flush()
    words = answer.readline().split()
    if len(words) != 3 or not words[2].isdigit() or int(words[2]) > _LARGEST_OBJECT:
        raise BuildError(
            "bad-git-tree", f"the repository has no object {name} that can be read", exit_status=1
        )
    data = answer.read(int(words[2]))
    answer.read(1)
    return words[1].decode("ascii", "replace"), data


# ---------------------------------------------------------------- submodules


def submodule_url(git: GitCommand, commit: str, path: bytes) -> str:
    """Where the submodule at a path is, as `.gitmodules` says; BuildError `bad-git-submodule`."""
    try:
        said = git.run("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"^submodule\.")
    except BuildError:
        said = b""
    values = dict(row.partition(b"\n")[::2] for row in said.split(b"\0") if row)
    for name, value in values.items():
        if name.endswith(b".path") and value == path:
            url = values.get(name[: -len(b"path")] + b"url", b"").decode("utf-8", "replace")
            if url and not url.startswith("-"):
                return url
    raise BuildError("bad-git-submodule", f".gitmodules has no address for the submodule {path!r}")


def beside(address: str, relative: str) -> str:
    """The address that a relative one of a submodule means."""
    base = address.rstrip("/")
    while relative.startswith(("./", "../")):
        if relative.startswith("./"):
            relative = relative[2:]
            continue
        relative = relative[3:]
        above, slash, _ = base.rpartition("/")
        if not slash or above.endswith("/"):
            raise BuildError("bad-git-submodule", "the address of a submodule leads out of its host")
        base = above
    return f"{base}/{relative}"


# ---------------------------------------------------------------- a .git of one commit


def git_folder(
    git: GitCommand, commit: str, url: str, keep: Callable[[bytes], Content]
) -> list[tuple[Entry, Content]]:
    """The entries of a `.git` that holds a commit, detached, shallow, and the address that it is from.

    Objects are stored without compression, which would differ between versions of
    zlib; the index is made by git and says nothing of any file's inode.
    """
    files: dict[bytes, bytes] = {
        b"HEAD": f"{commit}\n".encode(),
        b"shallow": f"{commit}\n".encode(),
        b"config": _config(url, 1 if len(commit) == 64 else 0).encode(),
    }
    git.run("read-tree", commit)
    with open(f"{git.folder}/.git/index", "rb") as index:
        files[b"index"] = index.read()
    names = git.run("rev-list", "--objects", "--no-object-names", "--max-count=1", commit).decode().split()
    made = [_file(b".git/" + name, keep(data)) for name, data in files.items()]
    with git.conversation("cat-file", "--batch") as (ask, answer):
        for name in names:
            kind, data = _read(ask, answer, name)
            path = f".git/objects/{name[:2]}/{name[2:]}".encode()
            made.append(_file(path, keep(_stored(kind.encode() + b" %d\0" % len(data) + data)), 0o444))
    folders = {b".git", b".git/refs", b".git/refs/heads", b".git/refs/tags", b".git/objects"}
    folders |= {e.path.rpartition(b"/")[0] for e, _ in made}
    return [*((Entry(path, Kind.DIR, 0o755, 0, 0, 0), None) for path in sorted(folders)), *made]


def _config(url: str, version: int) -> str:
    extension = "[extensions]\n\tobjectFormat = sha256\n" if version else ""
    return (
        f"[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n{extension}"
        f'[remote "origin"]\n\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    )


def _file(path: bytes, content: Content, mode: int = 0o644) -> tuple[Entry, Content]:
    size = content.size if isinstance(content, FileSlice) else 0
    return Entry(path, Kind.FILE, mode, 0, 0, 0, size), content


def _stored(data: bytes) -> bytes:
    """The data as a zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    out = [b"\x78\x01"]
    for start in range(0, len(data), _STORED):
        piece = data[start : start + _STORED]
        last = b"\x01" if start + _STORED >= len(data) else b"\x00"
        size = len(piece)
        out.append(last + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + piece)
    return b"".join(out) + zlib.adler32(data).to_bytes(4, "big")
