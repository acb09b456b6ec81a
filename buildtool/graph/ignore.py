r"""`.dockerignore`: which files of a context are left out.

The rules are those of Moby's pattern matcher as BuildKit's context sender uses
it.  Lines are patterns, in order; the last one that matches a path, or matched
a folder above it, decides; `!` takes a path in again.

- `*` and `?` stay within one name, `**` crosses any number of folders, `[a-z]`
  and `[^a-z]` are one character, `\` takes the next character as it is.
- A pattern is anchored at the context's root, with or without a leading slash.
- An exception is remembered for what lies below a folder only where the folder
  was left out at that point of the list, as Moby does it.
"""

import posixpath
import re
from collections.abc import Callable, Iterable

from buildtool.diag import BuildError, Span

MAX_BYTES = 1 << 20
MAX_PATTERNS = 10_000

Match = Callable[[str], object]


def parse_ignore(text: bytes, filename: str = ".dockerignore") -> tuple[str, ...]:
    """The cleaned patterns of a `.dockerignore`, in order, `!` kept in front.

    Raises `bad-ignore-pattern` (located) and `ignore-too-large`.
    """
    if len(text) > MAX_BYTES:
        raise BuildError("ignore-too-large", f"{filename} has more than {MAX_BYTES} bytes")
    patterns: list[str] = []
    for number, raw in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape")
        if line.startswith("#"):
            continue
        pattern = _cleaned(line.strip())
        if not pattern:
            continue
        problem = _problem(pattern.removeprefix("!"))
        if problem:
            excerpt = line.rstrip("\r")
            span = Span(filename, number, 1, number, len(excerpt) + 1, excerpt)
            raise BuildError("bad-ignore-pattern", f'bad pattern "{pattern}": {problem}', span=span)
        patterns.append(pattern)
    if len(patterns) > MAX_PATTERNS:
        raise BuildError("ignore-too-large", f"{filename} has more than {MAX_PATTERNS} patterns")
    return tuple(patterns)


def exclusions(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns of `--exclude` as Moby's matcher cleans them; BuildError `bad-ignore-pattern` without a place.

    Unlike lines of a `.dockerignore` they keep a slash in front, with which they match nothing.
    """
    found = [posixpath.normpath(p.strip()) for p in patterns if p.strip()]
    for pattern in found:
        problem = _problem(pattern.removeprefix("!"))
        if problem:
            raise BuildError("bad-ignore-pattern", f'bad pattern "{pattern}": {problem}')
    return tuple(found)


class IgnoreMatcher:
    """Matches slash-separated paths, relative to the context's root, against patterns that are cleaned.

    Not for use by several threads at once: it remembers folders that it has seen.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._rules = [(p.startswith("!"), _compile(p.removeprefix("!"))) for p in patterns]
        self._exceptions = tuple(p[1:].split("/") for p in patterns if p.startswith("!"))
        self._folders: dict[str, tuple[bool, tuple[bool, ...]]] = {"": (False, (False,) * len(patterns))}
        self._single: Match | None = None
        if not self._exceptions:
            either = "|".join(f"(?:{_whole(p)})" for p in patterns)
            self._single = re.compile(f"(?:{either})(?:/|$)").match if patterns else _nothing

    def matches(self, path: str) -> bool:
        """Whether the path is left out."""
        if self._single is not None and "\n" not in path:
            return self._single(path) is not None
        return self._decide(path, self._folder(posixpath.dirname(path))[1])[0]

    def may_contain_included(self, folder: str) -> bool:
        """Whether an exception could take in something below `folder`, which is left out itself."""
        parts = folder.split("/")
        return any(_reaches_below(pattern, parts) for pattern in self._exceptions)

    def _folder(self, folder: str) -> tuple[bool, tuple[bool, ...]]:
        """The decision about a folder, and which patterns have matched it or a folder above it."""
        chain: list[str] = []
        while folder not in self._folders:
            chain.append(folder)
            folder = posixpath.dirname(folder)
        known = self._folders[folder]
        for inner in reversed(chain):
            known = self._folders[inner] = self._decide(inner, known[1])
        return known

    def _decide(self, path: str, above: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        out = False
        matched = []
        for (exception, match), inherited in zip(self._rules, above, strict=True):
            hit = inherited or (exception == out and bool(match(path)))
            if hit:
                out = not exception
            matched.append(hit)
        return out, tuple(matched)


def _nothing(_path: str) -> None:
    return None


def _cleaned(line: str) -> str:
    """The line as `path.Clean` leaves it; an empty string for an empty line."""
    exception = line.startswith("!")
    body = line[1:].strip() if exception else line
    if body:
        body = posixpath.normpath(body)
        if body.startswith("//"):
            body = body[1:]
        if len(body) > 1:
            body = body.removeprefix("/")
    return f"!{body}" if exception else body


def _problem(pattern: str) -> str:
    """What Go's `filepath.Match` finds wrong with the pattern, or an empty string."""
    if not pattern:
        return "an exception names something"
    i = 0
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            i += 1
            if i == len(pattern):
                return "it ends in an escape"
        elif c == "[":
            i = _class_end(pattern, i)
            if i < 0:
                return "a bracket is not closed"
        i += 1
    return ""


def _class_end(pattern: str, start: int) -> int:
    """The index of the `]` that ends the class at `start`, or -1 where the class is not well formed."""
    i = start + 1 + (pattern[start + 1 : start + 2] == "^")
    members = 0
    while i < len(pattern):
        if pattern[i] == "]" and members:
            return i
        for _ in range(2):
            if pattern[i : i + 1] in ("", "-", "]"):
                return -1
            i += 1 + (pattern[i] == "\\")
            if pattern[i : i + 1] != "-":
                break
            i += 1
        members += 1
    return -1


def _compile(pattern: str) -> Match:
    """A test whether a whole path matches; plain string comparison where that does."""
    if pattern.startswith("**") and not _special(pattern[2:]):
        suffix = pattern[2:]
        if suffix.startswith("/"):
            return lambda path: path.endswith(suffix) or path == suffix[1:]
        return lambda path: path.endswith(suffix)
    if pattern.endswith("/**") and not _special(pattern[:-2]):
        prefix = pattern[:-2]
        return lambda path: path.startswith(prefix)
    if not _special(pattern):
        return pattern.__eq__
    return re.compile(_regex(pattern)).fullmatch


def _whole(pattern: str) -> str:
    """The regular expression that decides as `_compile` does."""
    if pattern.startswith("**") and not _special(pattern[2:]) and not pattern.startswith("**/"):
        return ".*" + re.escape(pattern[2:])
    return _regex(pattern)


def _special(pattern: str) -> bool:
    return any(c in pattern for c in "*?[]\\")


def _regex(pattern: str) -> str:
    out: list[str] = []
    i = 0
    while i < len(pattern):
        c = pattern[i]
        if pattern.startswith("**", i):
            # Only `**` at the very end stands without its slash: `x/**` is what lies below x, not x.
            i += 3 if pattern[i + 2 : i + 3] == "/" else 2
            out.append(".*" if i >= len(pattern) else "(?:.*/)?")
            continue
        if c == "[":
            end = _class_end(pattern, i)
            out.append(_class(pattern[i + 1 : end]))
            i = end
        elif c == "\\":
            i += 1
            out.append(re.escape(pattern[i]))
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(c) or re.escape(c))
        i += 1
    return "".join(out)


def _class(inside: str) -> str:
    negated = inside.startswith("^")
    body = inside[negated:]
    out: list[str] = []
    i = 0
    while i < len(body):
        if body[i] == "\\":
            i += 1
            out.append(re.escape(body[i]))
        else:
            out.append("-" if body[i] == "-" else re.escape(body[i]))
        i += 1
    text = f"[{'^' if negated else ''}{''.join(out)}]"
    try:
        re.compile(text)
    except re.error:  # a range from high to low holds no character
        return "[^\\s\\S]"
    return text


def _reaches_below(pattern: list[str], folder: list[str]) -> bool:
    """Whether a path that the pattern matches can lie below the folder."""
    for n, name in enumerate(folder):
        if n >= len(pattern):
            return False
        if "**" in pattern[n]:
            return True
        if not re.fullmatch(_regex(pattern[n]), name):
            return False
    return len(pattern) > len(folder)
