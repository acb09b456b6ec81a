"""What is not on this machine: URLs of files, and references to git repositories, as BuildKit reads them.

https://HOST/PATH.git[#REF[:FOLDER]]     also http, git, ssh
USER@HOST:PATH[#REF[:FOLDER]]            ssh, as scp writes it
...[?ref=R|branch=B|tag=T][&subdir=F][&commit=C][&keep-git-dir=true][&submodules=false]
"""

import posixpath
import re
from dataclasses import dataclass, replace

from buildtool.address import public
from buildtool.diag import BuildError

_WEB = ("http://", "https://")
_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SCHEMES = ("http", "https", "git", "ssh")
_SCP = re.compile(
    r"(?P<place>[a-zA-Z0-9_-]+@[a-zA-Z0-9.-]+:(?P<path>[^?#]*))(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.S,
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PREFIX = re.compile(r"[0-9a-f]{1,64}")
#: A subset of what `git check-ref-format` allows: nothing that could be read as an option or a range.
_REF = re.compile(r"[A-Za-z0-9_+][^\s~^:?*\[\\\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class GitReference:
    """A repository and what of it is meant.

    An empty `ref` is the default branch.  `commit` is how the commit has to begin.
    """

    address: str
    ref: str = ""
    subdir: str = ""
    commit: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True

    @property
    def url(self) -> str:
        """The address without credentials."""
        return self.address if _SCP.fullmatch(self.address) else public(self.address)

    @property
    def full_commit(self) -> str:
        """The whole commit, where the reference says it."""
        return next((c for c in (self.ref, self.commit) if _COMMIT.fullmatch(c)), "")


def is_url(text: str) -> bool:
    """Whether a source is a file of the web; a git repository is not one."""
    return text.startswith(_WEB) and parse_git(text) is None


def file_name(url: str) -> str:
    """What a file of a URL is called: the last part of the path, as it reads unescaped."""
    from urllib.parse import unquote, urlsplit

    name = posixpath.basename(unquote(urlsplit(url).path).rstrip("/"))
    return "__unnamed__" if name in ("", ".", "..") else name


def parse_git(text: str, *, context: bool = False) -> GitReference | None:
    """The reference that a text is, None where it is none; BuildError `bad-git-reference` for a wrong one.

    With `context` also `github.com/USER/REPOSITORY`, which is a path elsewhere.
    """
    if not context and "://" not in text and "@" not in text:
        return None
    from urllib.parse import urlsplit, urlunsplit

    if context and text.startswith("github.com/"):
        text = f"https://{text}"
    elif text.startswith(("./", "../")):
        return None
    elif _SCHEME.match(text) is None:
        scp = _SCP.fullmatch(text)
        return None if scp is None else _reference(scp["place"], scp["query"], scp["fragment"])
    elif text.startswith(_WEB) and not urlsplit(text).path.endswith(".git"):
        return None
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1].lower() not in _SCHEMES:
        return None
    parts = urlsplit(text)
    address = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return _reference(address, parts.query, parts.fragment)


def _reference(address: str, query: str | None, fragment: str | None) -> GitReference:
    from urllib.parse import unquote

    ref, _, subdir = (unquote(fragment or "")).partition(":")
    found = _queried(GitReference(address, ref, subdir), query or "")
    if found.ref and (not _REF.fullmatch(found.ref) or ".." in found.ref):
        raise _wrong(f"{found.ref!r} is not the name of a branch, a tag or a commit")
    if found.commit and not _PREFIX.fullmatch(found.commit):
        raise _wrong(f"{found.commit!r} is not a commit or the beginning of one")
    if ".." in found.subdir.split("/"):
        raise _wrong(f"the folder {found.subdir!r} leads out of the repository")
    if any(c in address + found.subdir for c in "\0\n"):
        raise _wrong("a line end stands in it")
    return replace(found, subdir=posixpath.normpath(f"/{found.subdir}").strip("/"))


def _queried(plain: GitReference, query: str) -> GitReference:
    """The reference with what the query says; a query and a fragment must not contradict each other."""
    from urllib.parse import parse_qsl

    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _QUERY:
            raise _wrong(f"it has no parameter {name!r}")
        if name in values:
            raise _wrong(f"{name!r} is given twice")
        if not value and name not in ("keep-git-dir", "submodules"):
            raise _wrong(f"{name!r} has no value")
        values[name] = value
    refs = [plain.ref, values.get("ref", "")]
    for name, prefix in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        value = values.get(name, "")
        refs.append(prefix + value.removeprefix(prefix) if value else "")
    commit = _one("commit", [values.get("commit", ""), values.get("checksum", "")])
    return replace(
        plain,
        ref=_one("ref", refs) or commit,
        subdir=_one("subdir", [plain.subdir, values.get("subdir", "")]),
        commit=commit,
        keep_git_dir=_switch("keep-git-dir", values),
        submodules=_switch("submodules", values) is not False,
    )


_QUERY = ("ref", "tag", "branch", "subdir", "commit", "checksum", "keep-git-dir", "submodules")


def _one(name: str, values: list[str]) -> str:
    found = list(dict.fromkeys(v for v in values if v))
    if len(found) > 1:
        raise _wrong(f"it says two values for {name}: {found[0]!r} and {found[1]!r}")
    return found[0] if found else ""


def _switch(name: str, values: dict[str, str]) -> bool | None:
    value = values.get(name)
    if value is None:
        return None
    if value.lower() in ("", "1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise _wrong(f"{name!r} is true or false, not {value!r}")


def _wrong(what: str) -> BuildError:
    return BuildError(
        "bad-git-reference",
        f"not a reference to a git repository: {what}",
        hint="https://HOST/PATH.git#REF:FOLDER names a branch, tag or commit, and a folder in it",
    )
