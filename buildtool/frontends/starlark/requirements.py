"""Requirements of Python projects, read from `requirements.txt` or `pyproject.toml`.

Of pip's options those count that say what is wanted (`-r`, `-c`, `--hash`).  Where
packages come from is a matter of the machine, and what cannot be pinned by a digest
is refused; both are errors with their line.
"""

import posixpath
import re
from collections.abc import Callable, Sequence

from buildtool.diag import BuildError, Span

_MOST_FILES = 50
_NESTED = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s+|=)(\S+)")
_HASH = re.compile(r"\s--hash[= ](sha256:[0-9a-f]{64})")
#: Of pip's options those that say nothing about which packages are wanted.
_IGNORED = ("--require-hashes", "--no-binary", "--only-binary", "--prefer-binary")

Read = Callable[[str], bytes]


def read_requirements(
    path: str, read: Read, folder: str, extras: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The requirements and the constraints of a file, each one line (PEP 508, hashes behind it).

    `read` gives a file by its path in the package `folder`; `extras` are extras or groups of a
    pyproject.toml.
    BuildError `bad-requirement`, with the line.
    """
    if path.endswith(".toml"):
        return _of_project(read(path), posixpath.join(folder, path), extras), ()
    reader = _Reader(read, folder)
    reader.add(path, constraints=False)
    return tuple(dict.fromkeys(reader.requirements)), tuple(dict.fromkeys(reader.constraints))


class _Reader:
    """Requirements files that name one another."""

    def __init__(self, read: Read, folder: str) -> None:
        self._read = read
        self._folder = folder
        self._seen: set[tuple[str, bool]] = set()
        self.requirements: list[str] = []
        self.constraints: list[str] = []

    def add(self, path: str, *, constraints: bool) -> None:
        """Read one more file."""
        if (path, constraints) in self._seen:
            return
        self._seen.add((path, constraints))
        if len(self._seen) > _MOST_FILES:
            raise BuildError(
                "bad-requirement", f"more than {_MOST_FILES} requirements files name one another"
            )
        for number, text in _logical_lines(self._read(path).decode("utf-8", "replace")):
            span = Span(posixpath.join(self._folder, path), number, 1, number, len(text) + 1, text)
            nested = _NESTED.fullmatch(text)
            if nested:
                other = posixpath.normpath(posixpath.join(posixpath.dirname(path), nested[2]))
                if other.startswith("../"):
                    raise BuildError("bad-requirement", f"{nested[2]} is outside of the package", span=span)
                self.add(other, constraints=constraints or nested[1] in ("-c", "--constraint"))
            elif text.startswith("-"):
                if text.split("=")[0].split()[0] not in _IGNORED:
                    raise _refused(text, span)
            else:
                (self.constraints if constraints else self.requirements).append(_checked(text, span))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with those that they go on with, and without comments; the number is that of the first."""
    found: list[tuple[int, str]] = []
    open_line: tuple[int, str] | None = None
    for number, row in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        start, before = open_line or (number, "")
        bare = re.sub(r"(^|\s)#.*$", "", row).rstrip()
        if bare.endswith("\\"):
            open_line = start, before + bare[:-1].rstrip() + " "
            continue
        open_line = None
        whole = (before + bare.strip()).strip()
        if whole:
            found.append((start, whole))
    if open_line is not None and open_line[1].strip():
        found.append((open_line[0], open_line[1].strip()))
    return found


def _checked(text: str, span: Span) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    hashes = _HASH.findall(text)
    bare = _HASH.sub("", text).strip()
    if " --" in bare:
        raise _refused(bare[bare.index(" --") + 1 :], span)
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as e:
        reason = str(e).splitlines()[0]
        raise BuildError("bad-requirement", f"{bare!r} is not a requirement: {reason}", span=span) from None
    if requirement.url:
        raise BuildError(
            "bad-requirement",
            f"{requirement.name} is wanted from an address; only packages of an index can be pinned",
            span=span,
        )
    return " ".join((str(requirement), *(f"--hash={h}" for h in sorted(hashes))))


def _refused(option: str, span: Span) -> BuildError:
    name = option.split("=")[0].split()[0]
    index = name in (
        "-i",
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "-f",
        "--trusted-host",
        "--no-index",
    )
    return BuildError(
        "bad-requirement",
        f"{name} does not belong in requirements of an image",
        span=span,
        hint="which index serves packages is set by pip's own settings or [mirrors] in buildtool.toml"
        if index
        else "name packages of an index, such as requests>=2",
    )


def _of_project(data: bytes, path: str, extras: Sequence[str]) -> tuple[str, ...]:
    """The dependencies of a pyproject.toml (PEP 621), with its extras and groups (PEP 735)."""
    import tomli

    try:
        tree = tomli.loads(data.decode())
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as e:
        line = getattr(e, "lineno", 1)
        raise BuildError("bad-requirement", f"it is not TOML: {e}", span=Span(path, line)) from None
    project = tree.get("project", {})
    wanted = list(_texts(project.get("dependencies", []), path))
    for extra in extras:
        groups = {**tree.get("dependency-groups", {}), **project.get("optional-dependencies", {})}
        if extra not in groups:
            raise BuildError(
                "bad-requirement", f"there is no extra or group {extra!r} in the project", span=Span(path, 1)
            )
        wanted += _texts(groups[extra], path)
    return tuple(dict.fromkeys(_checked(text, Span(path, 1)) for text in wanted))


def _texts(value: object, path: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise BuildError("bad-requirement", "dependencies are a list of texts", span=Span(path, 1))
    return value
