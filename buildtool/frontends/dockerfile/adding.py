"""ADD from elsewhere: a URL or a git repository as a source of the graph, pinned."""

import re
from collections.abc import Callable

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.frontends.dockerfile.remote import GitReference, file_name, is_url, parse_git
from buildtool.frontends.dockerfile.request import Bases
from buildtool.graph.model import FetchSource, GitSource, Origin

_COMMIT = re.compile(r"[0-9a-f]{1,64}")


def place_of(written: str, *, is_add: bool) -> str | GitReference | None:
    """The URL or repository that a source is, None for a path; COPY has paths alone."""
    git = parse_git(written)
    if git is None and not is_url(written):
        return None
    if not is_add:
        what = "a URL" if git is None else "a git repository"
        raise BuildError("url-in-copy", f"COPY does not copy from {what}", hint="ADD does")
    return written if git is None else git


def adding(
    where: str | GitReference, checksum: str, *, keep_git_dir: bool | None, bases: Bases, origin: Origin
) -> FetchSource | GitSource:
    """The source that a URL or a repository is; BuildErrors of `Bases`, and `bad-checksum`."""
    if isinstance(where, GitReference):
        return git_source(where, checksum, keep_git_dir=keep_git_dir, commit=bases.commit, origin=origin)
    expect = parse_digest(checksum) if checksum else None
    name = file_name(where)
    if "\0" in name:
        raise BuildError("bad-path", "a path holds no zero byte")
    pin = bases.file(where, expect)
    return FetchSource(pin.digest, name, mtime=pin.modified, size=pin.size, urls=(where,), origin=origin)


def git_source(
    where: GitReference,
    checksum: str = "",
    *,
    keep_git_dir: bool | None = None,
    commit: Callable[[str, str, str], str],
    origin: Origin,
) -> GitSource:
    """The files of a repository; a ref that is no full commit is looked up by `commit` (`Bases.commit`).

    What a flag says (`checksum`, `keep_git_dir`) the reference must not contradict.
    """
    if checksum and not _COMMIT.fullmatch(checksum):
        raise BuildError("bad-checksum", f"{checksum!r} is not a commit or the beginning of one")
    if checksum and where.commit and checksum != where.commit:
        raise BuildError("checksum-mismatch", f"{where.url} says {where.commit}, --checksum {checksum}")
    kept = [keep for keep in (keep_git_dir, where.keep_git_dir) if keep is not None]
    if len(set(kept)) > 1:
        raise BuildError("bad-git-reference", f"{where.url} and --keep-git-dir say the opposite")
    full = where.full_commit
    for beginning in filter(None, (checksum, where.commit)):
        if full and not full.startswith(beginning):
            raise BuildError("checksum-mismatch", f"{where.url} is asked for at {full}, not {beginning}")
    return GitSource(
        url=where.url,
        commit=full or commit(where.address, where.ref, checksum or where.commit),
        subdir=where.subdir,
        keep_git_dir=any(kept),
        submodules=where.submodules,
        address=where.address if where.address != where.url else "",
        origin=origin,
    )
