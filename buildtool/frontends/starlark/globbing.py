"""glob(): the files of a package that match patterns, in one order everywhere.

`*` and `?` match within one part of a path, `**` any number of parts.  A glob sees
its own package only: folders with a BUILD.star of their own are other packages,
and links to folders are not followed.  BUILD files and `.git` are never matched.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator

from buildtool.diag import BuildError
from buildtool.frontends.starlark.labels import BUILD_FILE

MAX_ENTRIES = 200_000
MAX_MATCHES = 50_000
MAX_DEPTH = 200


def glob(folder: str, include: Iterable[str], exclude: Iterable[str]) -> list[str]:
    """Paths of files below `folder`, relative to it, in bytewise order.

    BuildError `bad-glob` for a pattern that cannot be meant, `glob-too-big` beyond
    the bounds, `bad-file-name` for a match whose name is not UTF-8.
    """
    wanted = _matcher(include)
    unwanted = _matcher(exclude)
    found: list[bytes] = []
    for path in _files(os.fsencode(folder)):
        text = os.fsdecode(path)
        if wanted(text) and not unwanted(text):
            found.append(path)
            if len(found) > MAX_MATCHES:
                raise BuildError("glob-too-big", f"glob() matches more than {MAX_MATCHES:,} files")
    try:
        return [path.decode("utf-8") for path in sorted(found)]
    except UnicodeDecodeError as e:
        raise BuildError(
            "bad-file-name",
            f"glob() matches {e.object!r}, whose name is not UTF-8",
            hint="name its folder instead: copy() takes any name inside a folder",
        ) from None


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    regexes = [_regex(p) for p in patterns]
    if not regexes:
        return lambda _path: False
    matches = re.compile("|".join(f"(?:{r})" for r in regexes), re.DOTALL).fullmatch
    return lambda path: matches(path) is not None


def _regex(pattern: str) -> str:
    parts = pattern.split("/")
    if not pattern or any(p in ("", ".", "..") for p in parts):
        raise BuildError(
            "bad-glob",
            f"{pattern[:200]!r} is not a pattern of a package's files",
            hint='a pattern is relative to the package and stays inside it, as in "src/**/*.py"',
        )
    if any("**" in p and p != "**" for p in parts):
        raise BuildError(
            "bad-glob",
            f"{pattern[:200]!r} has ** beside other characters",
            hint="** stands alone between slashes and matches any number of folders",
        )
    out = ""
    for n, part in enumerate(parts):
        last = n == len(parts) - 1
        if part == "**":
            out += ".+" if last else "(?:[^/]+/)*"
        else:
            out += "".join({"*": "[^/]*", "?": "[^/]"}.get(c) or re.escape(c) for c in part)
            out += "" if last else "/"
    return out


def _files(root: bytes) -> Iterator[bytes]:
    build = BUILD_FILE.encode()
    seen = 0
    pending = [(b"", 0)]
    while pending:
        below, depth = pending.pop()
        with os.scandir(root + b"/" + below if below else root) as entries:
            listed = list(entries)
        seen += len(listed)
        if seen > MAX_ENTRIES or depth > MAX_DEPTH:
            raise BuildError("glob-too-big", f"glob() looks at more than {MAX_ENTRIES:,} files or too deep")
        if below and any(e.name == build for e in listed):
            continue
        for entry in listed:
            path = below + b"/" + entry.name if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name != b".git":
                    pending.append((path, depth + 1))
            elif entry.name != build:
                yield path
