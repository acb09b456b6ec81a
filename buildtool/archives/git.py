"""Commits of git repositories as tar archives, the same bytes on every machine for the same commit.

The archive has the files of a commit in bytewise order, 0644 or 0755, of 0:0, at
time 0; the contents as a checkout would have them (attributes such as `eol` are
honoured, filter programs are not there).  Submodules are read at the commits that
the tree names.  A kept `.git` holds the one commit in loose, stored objects, so
that no compressor and no packing takes part.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

from buildtool.address import public
from buildtool.archives.gitcommand import PROTOCOLS, GitCommand, Login
from buildtool.archives.gitobjects import Listed, beside, fetch, git_folder, listed, objects, submodule_url
from buildtool.archives.remote import Blobs
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import GitSource
from buildtool.layers.entry import Content, Entry, FileSlice, Kind
from buildtool.layers.tar import write_layer

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SCP = re.compile(r"[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:[^:].*")
_FOLDER, _EXECUTABLE, _LINK, _GITLINK = "040000", "100755", "120000", "160000"
_FILES = ("100644", "100664", _EXECUTABLE)
#: The attributes by which a checkout changes what is in a file.
_CHANGING = ("eol", "ident", "working-tree-encoding")
_DEEPEST = 10
_MOST_FILES = 2_000_000
_LARGEST = 16 << 30

Entries = list[tuple[Entry, Content]]


class Git:
    """Resolves refs and fetches commits.  `temporary` names a new path for a kind of thing.

    `login` gives the value of the Authorization header for a host, empty for none.
    """

    def __init__(
        self,
        blobs: Blobs,
        temporary: Callable[[str], str],
        environ: Mapping[str, str],
        protocols: Iterable[str] = PROTOCOLS,
        login: Callable[[str], str] = lambda host: "",
    ) -> None:
        self._login = login
        self._blobs = blobs
        self._temporary = temporary
        self._environ = environ
        self._protocols = tuple(protocols)

    def commit(self, address: str, ref: str) -> str:
        """The commit of a ref now; BuildError `git-failed`, `no-git-ref`.

        As BuildKit, a ref is looked for as it is, as a branch, then as a tag.
        """
        plain, login = self._without_login(address)
        wanted = [f"refs/{ref.removeprefix('refs/')}", f"refs/heads/{ref}", f"refs/tags/{ref}"] if ref else []
        if ref and not ref.startswith("refs/"):
            wanted[0] = ref
        with self._repository(login) as git:
            rows = git.run("ls-remote", "--", plain, *([ref, f"{ref}^{{}}"] if ref else ["HEAD"]))
        found: dict[str, str] = {}
        for row in rows.decode("utf-8", "replace").splitlines():
            commit, _, name = row.partition("\t")
            if _COMMIT.fullmatch(commit):
                found[name] = commit
        for name in wanted or ["HEAD"]:
            # The commit that an annotated tag is for stands under `NAME^{}`.
            for spelled in (f"{name}^{{}}", name):
                if spelled in found:
                    return found[spelled]
        raise BuildError(
            "no-git-ref",
            f"{public(plain)} has no branch or tag {ref!r}" if ref else f"{public(plain)} has no branch",
            exit_status=1,
        )

    def fetch(self, step: GitSource) -> Digest:
        """Put the files of a commit among the blobs; BuildError if they cannot be had."""
        address, login = self._without_login(step.address or step.url)
        spool = self._temporary("git-files")
        with self._repository(login) as git, open(spool, "xb") as out:
            try:
                reader = _Reader(self, out, spool)
                entries = reader.tree(git, address, step.commit, step.subdir, submodules=step.submodules)
                entries = _cut(entries, step.subdir, f"{step.url} at {step.commit}")
                if step.keep_git_dir:
                    entries += git_folder(git, step.commit, step.url, reader.keep)
                out.flush()
                with self._blobs.writer() as blob:
                    write_layer(sorted(entries, key=lambda e: e[0].path), compression=None, sink=blob.write)
                return blob.digest
            finally:
                os.unlink(spool)

    def _without_login(self, address: str) -> tuple[str, Login | None]:
        """An address, and who asks: the user and password that stood in it, else the login for its host.

        The user of SSH belongs to the address.
        """
        import base64
        from urllib.parse import unquote, urlsplit, urlunsplit

        if not address.startswith(("http://", "https://")):
            return address, None
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        if parts.username is None:
            said = self._login(host)
        else:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            said = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        plain = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        return plain, Login(f"{parts.scheme}://{host}/", f"Authorization: {said}") if said else None

    def _repository(self, login: Login | None) -> "_Repository":
        return _Repository(self._temporary("git"), self._environ, self._protocols, login)

    def submodule(self, address: str) -> "_Repository":
        """A repository for a submodule, whose address a stranger wrote: it gets no login."""
        scheme = "ssh" if _SCP.fullmatch(address) else address.partition("://")[0]
        if scheme not in self._protocols:
            raise BuildError(
                "bad-git-submodule", f"a submodule is at {public(address)!r}, which is no network address"
            )
        return self._repository(None)


class _Repository:
    """An empty repository that is gone afterwards."""

    def __init__(
        self, folder: str, environ: Mapping[str, str], protocols: tuple[str, ...], login: Login | None
    ) -> None:
        self._folder = folder
        self._command = GitCommand(folder, environ, protocols, login)

    def __enter__(self) -> GitCommand:
        os.makedirs(self._command.worktree, mode=0o700)
        try:
            self._command.run("init", "-q")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self._command

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _Reader:
    """Reads trees of commits into entries, the bytes of files into a spool file."""

    def __init__(self, source: Git, spool: BinaryIO, path: str) -> None:
        self._source = source
        self._spool = spool
        self._path = path
        self._size = 0
        self._files = 0

    def tree(
        self, git: GitCommand, address: str, commit: str, subdir: str, *, submodules: bool, depth: int = 0
    ) -> Entries:
        """The entries of a commit, which is fetched first, as far as they lie in the folder `subdir`."""
        fetch(git, address, commit)
        inside = subdir.encode()
        rows = [r for r in listed(git, commit) if _concerns(r, inside)]
        self._files += len(rows)
        if self._files > _MOST_FILES:
            raise BuildError("git-too-large", f"the repository has more than {_MOST_FILES:,} files")
        entries: Entries = [
            (_entry(r.path, Kind.DIR, 0o755), None) for r in rows if r.mode in (_FOLDER, _GITLINK)
        ]
        entries += self._contents(git, [r for r in rows if r.mode in _FILES])
        with objects(git) as read:
            for row in (r for r in rows if r.mode == _LINK):
                link = _entry(row.path, Kind.SYMLINK, 0o777)
                entries.append((link._replace(linkname=read(row.name)), None))
        if submodules:
            for row in (r for r in rows if r.mode == _GITLINK):
                entries += self._submodule(git, address, commit, row, inside, depth)
        return entries

    def _contents(self, git: GitCommand, rows: list[Listed]) -> Entries:
        """Files as a checkout has them."""
        converted = _converted(git, rows)
        entries: Entries = []
        with objects(git) as read:
            for row in rows:
                data = converted.get(row.path)
                content = self.keep(read(row.name) if data is None else data)
                size = content.size if isinstance(content, FileSlice) else 0
                entry = _entry(row.path, Kind.FILE, 0o755 if row.mode == _EXECUTABLE else 0o644)
                entries.append((entry._replace(size=size), content))
        return entries

    def keep(self, data: bytes) -> Content:
        """Write bytes to the spool file, and say where they are."""
        if not data:
            return b""
        start = self._size
        self._spool.write(data)
        self._size += len(data)
        if self._size > _LARGEST:
            raise BuildError("git-too-large", f"the repository's files have more than {_LARGEST:,} bytes")
        return FileSlice(self._path, start, len(data))

    def _submodule(
        self, git: GitCommand, address: str, commit: str, row: Listed, inside: bytes, depth: int
    ) -> Entries:
        if depth >= _DEEPEST:
            raise BuildError("bad-git-submodule", f"submodules are nested more than {_DEEPEST} deep")
        url = submodule_url(git, commit, row.path)
        url = beside(address, url) if url.startswith(("./", "../")) else url
        below = inside[len(row.path) + 1 :].decode("utf-8", "surrogateescape")
        with self._source.submodule(url) as repository:
            found = self.tree(repository, url, row.name, below, submodules=True, depth=depth + 1)
        return [(e._replace(path=row.path + b"/" + e.path), content) for e, content in found]


def _concerns(row: Listed, inside: bytes) -> bool:
    """Whether a row lies in a folder, is it, or is a submodule that has it."""
    if not inside or row.path == inside or row.path.startswith(inside + b"/"):
        return True
    return row.mode == _GITLINK and inside.startswith(row.path + b"/")


def _cut(entries: Entries, subdir: str, where: str) -> Entries:
    """The entries of a folder, with paths in it."""
    if not subdir:
        return entries
    top = subdir.encode()
    if not any(e.path == top and e.kind is Kind.DIR for e, _ in entries):
        raise BuildError("no-git-folder", f"there is no folder {subdir!r} in {where}", exit_status=1)
    start = len(top) + 1
    return [(e._replace(path=e.path[start:]), c) for e, c in entries if e.path.startswith(top + b"/")]


def _converted(git: GitCommand, rows: list[Listed]) -> dict[bytes, bytes]:
    """The contents that a checkout changes, by what .gitattributes say; without a filter program."""
    attributes = [r for r in rows if r.path.rpartition(b"/")[2] == b".gitattributes"]
    if not attributes:
        return {}
    with objects(git) as read:
        for row in attributes:
            # The only files of a repository that are ever written out, into folders of our own.
            path = os.path.join(os.fsencode(git.worktree), row.path)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "xb") as file:
                file.write(read(row.name))
    names = b"".join(r.path + b"\0" for r in rows)
    said = git.run("check-attr", "-z", "--stdin", *_CHANGING, data=names).split(b"\0")
    changed = {
        path
        for path, attribute, value in zip(said[::3], said[1::3], said[2::3], strict=False)
        if value not in (b"unspecified", b"unset") and (attribute, value) != (b"eol", b"lf")
    }
    return {
        r.path: git.run("cat-file", "--filters", f"--path={os.fsdecode(r.path)}", r.name)
        for r in rows
        if r.path in changed
    }


def _entry(path: bytes, kind: Kind, mode: int) -> Entry:
    return Entry(path, kind, mode, 0, 0, 0)
