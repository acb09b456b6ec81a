"""The Python side of the primitives: what a call of a builtin makes, checked where it is called.

`prelude.star` gives each builtin its signature and hands the call's stack and
arguments on to here.  A wrong argument is a `BuildError` without a place; the
evaluator gives it the place of the call.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, get_args, get_type_hints

import msgspec

from buildtool.diag import BuildError, Note
from buildtool.digest import sha256
from buildtool.frontends.starlark import callsite
from buildtool.frontends.starlark.configuration import Configuration, choose
from buildtool.frontends.starlark.declared import (
    TARGETS,
    Globbed,
    Package,
    Printed,
    Target,
    TargetRecord,
    encode_targets,
)
from buildtool.frontends.starlark.globbing import glob
from buildtool.frontends.starlark.steps import STEPS, BindMount, Site, TmpfsMount
from buildtool.frontends.starlark.visibility import PRIVATE, check_visibility

MAX_TARGETS = 20_000
MAX_PRINTED = 1_000
MAX_LINE = 2_000

#: A call as one text of JSON, which crosses from Starlark faster than its arguments would: what is
#: made (only where several kinds share a builtin), the stack, and the arguments.
_Call: TypeAlias = tuple[str, str, dict[str, object]]
_PackageCall: TypeAlias = tuple[str, dict[str, object]]

#: Arguments that may be one value where a list is meant, a number where a text is, a dict of pairs.
_LISTS = (
    "visibility",
    "default_visibility",
    "srcs",
    "exclude",
    "ports",
    "paths",
    "packages",
    "suites",
    "components",
    "urls",
    "outs",
    "extras",
    "platforms",
    "output",
    "not_output",
    "tags",
)
_RECORDS = ("steps", "mounts")
_OCTAL = ("mode",)
_TEXTS = ("owner", "name", "signal")
_DICTS = ("files", "values", "annotations", "contexts", "build_args", "env")

_SHOWN_AS = {
    "str": "a text",
    "int": "a whole number",
    "bool": "True or False",
    "array": "a list",
    "object": "a struct or dict",
    "null": "None",
    "float": "a fraction",
}


@dataclass(slots=True)
class Loading:
    """A package while its BUILD file is evaluated."""

    name: str
    folder: str
    targets: dict[str, Target] = field(default_factory=dict)
    globs: list[Globbed] = field(default_factory=list)
    printed: list[Printed] = field(default_factory=list)
    visibility: tuple[str, ...] | None = None

    def package(self, reads: dict[str, str], configured: bool) -> Package:
        return Package(
            self.name,
            tuple(self.targets),
            encode_targets(self.targets.values()),
            reads,
            tuple(self.globs),
            tuple(self.printed),
            (PRIVATE,) if self.visibility is None else self.visibility,
            configured,
        )


class Builtins:
    """The callables that the prelude sees; `current` is the package being loaded, if any.

    `configured` is set when the configuration was asked about.
    """

    def __init__(
        self, source: callsite.Source, mark: Callable[[str, int], None], configuration: Configuration
    ) -> None:
        self._source = source
        self._mark = mark
        self._configuration = configuration
        self.current: Loading | None = None
        self.configured = False

    def callables(self) -> dict[str, Callable[..., object]]:
        return {
            "_make": self.make,
            "_make_mount": self.make_mount,
            "_declare": self.declare,
            "_set_package": self.set_package,
            "_glob": self.glob,
            "_select": self.select,
            "_print": self.print,
            "_package_name": self.package_name,
        }

    def make(self, call: str) -> str:
        """A step as JSON."""
        kind, stack, values = msgspec.json.decode(call, type=_Call)
        record = _convert(kind, {**values, "step": kind, "at": self._sites(stack, kind)}, STEPS[kind])
        return msgspec.json.encode(record).decode()

    def make_mount(self, call: str) -> str:
        """A mount as JSON."""
        kind, stack, values = msgspec.json.decode(call, type=_Call)
        self._sites(stack, f"{kind}_mount")
        shape = BindMount if kind == "bind" else TmpfsMount
        record = _convert(f"{kind}_mount", {**values, "mount": kind}, shape)
        return msgspec.json.encode(record).decode()

    def declare(self, call: str) -> None:
        """Add a target to the package."""
        kind, stack, values = msgspec.json.decode(call, type=_Call)
        sites = self._sites(stack, kind)
        loading = self._loading(f"native.{kind}")
        record = _convert(f"native.{kind}", {**values, "target": kind, "at": sites}, TARGETS[kind])
        target: Target = record  # type: ignore[assignment]
        if earlier := loading.targets.get(target.name):
            raise self._duplicate(target, earlier)
        if len(loading.targets) >= MAX_TARGETS:
            raise BuildError("too-many-targets", f"a package may have {MAX_TARGETS:,} targets")
        loading.targets[target.name] = target

    def set_package(self, call: str) -> None:
        """Set the defaults of the package."""
        stack, values = msgspec.json.decode(call, type=_PackageCall)
        self._sites(stack, "package")
        loading = self._loading("package")
        if loading.targets or loading.visibility is not None:
            raise BuildError(
                "late-package", "package() stands once in a BUILD.star, before all targets", hint="move it up"
            )
        wanted = _convert("package", values, _PackageArguments)
        check_visibility(wanted.default_visibility)
        loading.visibility = wanted.default_visibility

    def select(self, stack: str, conditions: list[str], advice: str) -> str:
        """The condition that counts."""
        self._sites(stack, "select")
        self.configured = True
        if not all(isinstance(c, str) for c in (*conditions, advice)):
            raise BuildError("bad-condition", "the conditions of select() are texts")
        return choose(conditions, self._configuration, advice)

    def glob(self, call: str) -> list[str]:
        """The files of the package that match."""
        stack, values = msgspec.json.decode(call, type=_PackageCall)
        self._sites(stack, "glob")
        loading = self._loading("glob")
        wanted = _convert("glob", values, _GlobArguments)
        found = glob(loading.folder, wanted.include, wanted.exclude)
        if not found and not wanted.allow_empty:
            raise BuildError(
                "empty-glob",
                f"glob({list(wanted.include)}) matches no file",
                hint="say allow_empty = True if that is fine",
            )
        loading.globs.append(Globbed(wanted.include, wanted.exclude, digest_of(found)))
        return found

    def print(self, stack: str, words: list[str]) -> None:
        """Keep a line for whoever builds."""
        sites = self._sites(stack, "print")
        if self.current is not None and len(self.current.printed) < MAX_PRINTED:
            self.current.printed.append(Printed(" ".join(words)[:MAX_LINE], tuple(sites)))

    def package_name(self, stack: str) -> str:
        self._sites(stack, "package_name")
        return self._loading("native.package_name").name

    def _loading(self, function: str) -> Loading:
        if self.current is None:
            raise BuildError(
                "not-in-a-package",
                f"{function}() belongs to a package, and no BUILD.star is calling",
                hint="call it in a function, and that function from a BUILD.star",
            )
        return self.current

    def _sites(self, stack: str, name: str) -> list[Site]:
        frames = callsite.frames_of(stack)
        if frames:
            self._mark(frames[-1].file, frames[-1].line)
        calls = [*(f.function for f in frames[1:]), name]
        return [
            Site(f.file, f.line, f.function, call, callsite.line_of(self._source, f.file, f.line))
            for f, call in zip(frames, calls, strict=False)
        ]

    def _duplicate(self, target: TargetRecord, earlier: TargetRecord) -> BuildError:
        first = [callsite.Frame(s.file, s.line, s.function) for s in earlier.at[:1]]
        notes = [Note("declared first here", callsite.span_of(f, self._source)) for f in first]
        return BuildError(
            "duplicate-target",
            f"there are two targets named {target.name!r} in this package",
            notes=notes,
        )


class _PackageArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default_visibility: tuple[str, ...]


class _GlobArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    allow_empty: bool


def digest_of(found: list[str]) -> str:
    """The digest of what a glob gave."""
    return sha256("\0".join(found).encode())


_T = TypeVar("_T", bound=msgspec.Struct)


def _convert(function: str, values: dict[str, object], shape: type[_T]) -> _T:
    plain = {name: _plain(name, value) for name, value in values.items()}
    try:
        return msgspec.convert(plain, shape)
    except msgspec.ValidationError as e:
        raise BuildError(
            "bad-argument", f"{function}(): {_explained(str(e))}", hint=_allowed(str(e), shape)
        ) from None


def _allowed(problem: str, shape: type[msgspec.Struct]) -> str:
    """The values to choose from, where the problem is that one is none of them."""
    match = re.fullmatch(r"Invalid enum value .* - at `\$\.(\w+)`", problem)
    if match is None:
        return ""
    values = get_args(get_type_hints(shape)[match[1]])
    return f"it is one of {', '.join(map(str, values))}"


def _plain(name: str, value: object) -> object:
    if name in _RECORDS and isinstance(value, list | tuple):
        return [_record(item) for item in value]
    if name == "include" and isinstance(value, str):
        return [value]
    if name in _LISTS and value is not None:
        items = value if isinstance(value, list | tuple) else [value]
        return [str(i) if name == "ports" and type(i) is int else i for i in items]
    if name in _DICTS and isinstance(value, dict):
        return list(value.items())
    if name in _OCTAL and type(value) is int:
        return f"{value:o}" if value >= 0 else value
    if name in _TEXTS and type(value) is int:
        return str(value)
    return value


def _record(value: object) -> object:
    """A step or mount as its fields; what is none is left for the conversion to refuse."""
    if isinstance(value, dict) and isinstance(text := value.get("json"), str):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return value
    return value


def _type_names(names: str) -> str:
    return " or ".join(_SHOWN_AS.get(n, n) for n in names.split(" | ") if n != "null" or names == "null")


def _explained(problem: str) -> str:
    """A message of msgspec in the words of a BUILD file."""
    text, _, path = problem.partition(" - at ")
    text = re.sub(r"`([a-z |]+)`", lambda m: _type_names(m[1]), text)
    text = text[:1].lower() + text[1:] if text.startswith(("Expected", "Object", "Invalid")) else text
    where = path.strip("`").removeprefix("$").removeprefix(".")
    where = re.sub(r"\[\.\.\.\]", "", where)
    return f"{where}: {text}" if where and not text.startswith("it must hold") else text
