"""Evaluation: a BUILD.star and the files that it loads become a package.  Runs in the child process.

Each file is evaluated in a module of its own that has loaded the prelude by an
evaluation before, so the primitives are ordinary names that a file may use for
something else.  Loaded files are frozen and kept; a package is evaluated once.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import process_time

import starlark as sl

from buildtool.diag import BuildError, Note
from buildtool.digest import sha256
from buildtool.frontends.starlark import bounds, callsite
from buildtool.frontends.starlark.builtins import Builtins, Loading
from buildtool.frontends.starlark.configuration import Configuration
from buildtool.frontends.starlark.declared import Package
from buildtool.frontends.starlark.labels import BUILD_FILE, ModuleLabel, parse_module
from buildtool.frontends.starlark.loads import unused_loads
from buildtool.frontends.starlark.marks import MARK, marked

#: Seconds of processor time for one package with all that it loads.
MAX_SECONDS = 2.0
MAX_CALLS = 200
MAX_LOADS = 50

_LIBRARY = ("StructType", "CallStack", "Json", "Partial", "Map", "Filter")


def library() -> sl.Globals:
    """The functions of Starlark that files have, beside the primitives."""
    return sl.Globals.extended_by([getattr(sl.LibraryExtension, n) for n in _LIBRARY])


def dialect() -> sl.Dialect:
    """The syntax that files may use."""
    syntax = sl.Dialect.standard()
    syntax.enable_f_strings = True
    syntax.enable_keyword_only_arguments = True
    syntax.enable_types = sl.DialectTypes.ENABLE
    return syntax


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A loaded file, the files behind it, and whether it asked for the configuration."""

    module: sl.FrozenModule
    reads: dict[str, str]
    configured: bool


class Evaluator:
    """Loads packages of the workspace at `root` for one configuration; `rules` holds the shipped files."""

    def __init__(
        self, root: str, rules: str, configuration: Configuration, mark: Callable[[str, int], None]
    ) -> None:
        self._root = root
        self._rules = rules
        self._mark = mark
        self._sources: dict[str, str] = {}
        self._builtins = Builtins(self._sources.get, mark, configuration)
        self._globals = library()
        self._dialect = dialect()
        self._prelude, self._bring_in = self._frozen_prelude()
        self._frozen: dict[ModuleLabel, _Frozen] = {}
        self._loading: list[ModuleLabel] = []
        self._failure: BuildError | None = None
        self._marks = False
        self._deadline = 0.0

    def package(self, name: str, *, marks: bool = False) -> Package:
        """The package, its BUILD.star evaluated; BuildError with the place and its callers.

        With `marks`, each statement notes its line before it runs.
        """
        self._marks = marks
        self._deadline = process_time() + MAX_SECONDS
        self._loading.clear()
        self._failure = None
        current = Loading(name, os.path.join(self._root, name) if name else self._root)
        label = ModuleLabel(False, name, BUILD_FILE)
        self._builtins.current = current
        self._builtins.configured = False
        try:
            _, reads = self._evaluated(label)
        finally:
            self._builtins.current = None
        return current.package(reads, self._builtins.configured)

    def _frozen_prelude(self) -> tuple[sl.FrozenModule, sl.AstModule]:
        """The prelude, and a text that loads all of its public names."""
        module = sl.Module()
        for name, function in self._builtins.callables().items():
            module.add_callable(name, partial(self._called, function))
        path = os.path.join(os.path.dirname(__file__), "prelude.star")
        with open(path, encoding="utf-8") as file:
            text = self._prelude_text = file.read()
        sl.eval(module, sl.parse(callsite.PRELUDE, text, self._dialect), self._globals)
        names = re.findall(r"^(?:def )?([a-z]\w*)(?:\(| = )", text, re.MULTILINE)
        load = f"load({callsite.PRELUDE!r}, " + ", ".join(map(repr, names)) + ")"
        return module.freeze(), sl.parse(callsite.PRELUDE, load, self._dialect)

    def _evaluated(self, label: ModuleLabel) -> tuple[sl.Module, dict[str, str]]:
        file = str(label)
        data = self._read(label)
        text = self._sources[file] = bounds.decode(data, file)
        self._mark(file, 1)
        bounds.check(text, file)
        reads: dict[str, str] = {file: sha256(data)}
        module = sl.Module()
        options = sl.EvalOptions(
            check_cancelled=lambda: process_time() > self._deadline, max_callstack_size=MAX_CALLS
        )
        loader = sl.FileLoader(partial(self._load, label, reads))
        try:
            sl.eval(module, self._bring_in, self._globals, sl.FileLoader(lambda _: self._prelude))
            if self._marks:
                module.add_callable(MARK, partial(self._mark, file))
                text = marked(text)
            ast = sl.parse(file, text, self._dialect)
            unused = unused_loads(ast, file, text)
            sl.eval_with(options, module, ast, self._globals, file_loader=loader)
        except sl.StarlarkError as e:
            from buildtool.frontends.starlark.pointing import pointed

            known = [*self._sources.values(), self._prelude_text]
            raise pointed(self._told(str(e)), self._sources.get, known) from None
        if unused is not None and not self._marks:
            raise unused
        return module, reads

    def _load(self, loader: ModuleLabel, reads: dict[str, str], name: str) -> sl.FrozenModule:
        """What `load(name)` in the file `loader` gives; notes the files read."""
        return self._called(self._loaded, loader, reads, name)  # type: ignore[return-value]

    def _loaded(self, loader: ModuleLabel, reads: dict[str, str], name: str) -> sl.FrozenModule:
        label = parse_module(name, loader.package, loader.shipped)
        if label not in self._frozen:
            if label in self._loading:
                circle = [*self._loading[self._loading.index(label) :], label]
                raise BuildError("load-cycle", "files load each other: " + " -> ".join(map(str, circle)))
            if len(self._loading) >= MAX_LOADS:
                raise BuildError("load-too-deep", f"more than {MAX_LOADS} files load one another in a row")
            builtins = self._builtins
            current, builtins.current = builtins.current, None
            configured, builtins.configured = builtins.configured, False
            self._loading.append(label)
            try:
                module, inner = self._evaluated(label)
                self._frozen[label] = _Frozen(module.freeze(), inner, builtins.configured)
            finally:
                self._loading.pop()
                builtins.current, builtins.configured = current, configured
        frozen = self._frozen[label]
        reads.update(frozen.reads)
        self._builtins.configured |= frozen.configured
        return frozen.module

    def _called(self, function: Callable[..., object], *args: object) -> object:
        """Call Python from Starlark, keeping an error whole: Starlark would keep its text only."""
        try:
            return function(*args)
        except BuildError as e:
            self._failure = e
            raise

    def _told(self, text: str) -> BuildError:
        """The error of an evaluation, `text` being what Starlark says of it."""
        told = callsite.error_of(text, self._sources.get)
        failure, self._failure = self._failure, None
        if failure is not None:
            if failure.span is None:
                failure.span, failure.notes = told.span, (*failure.notes, *told.notes)
            else:
                note = Note(f"loaded from {told.span.file}" if told.span else "loaded", told.span)
                failure.notes = (*failure.notes, note)
            return failure
        if told.message == "Evaluation cancelled":
            told.code = "starlark-too-long"
            told.message = f"the evaluation takes more than {MAX_SECONDS:.0f} seconds"
        elif told.code == "starlark-recursion":
            told.message = f"functions call each other more than {MAX_CALLS} deep"
        return told

    def _read(self, label: ModuleLabel) -> bytes:
        base = self._rules if label.shipped else self._root
        path = os.path.realpath(os.path.join(base, label.path))
        if not path.startswith(os.path.join(os.path.realpath(base), "")):
            raise BuildError("outside-workspace", f"{label} is a link out of the workspace")
        try:
            with open(path, "rb") as file:
                return file.read(bounds.MAX_BYTES + 1)
        except FileNotFoundError:
            raise self._missing(label, os.path.dirname(path)) from None
        except OSError as e:
            raise BuildError("unreadable", f"{label} cannot be read: {e.strerror}") from None

    def _missing(self, label: ModuleLabel, folder: str) -> BuildError:
        from buildtool.diag import suggestion

        try:
            near = [n for n in os.listdir(folder) if n.endswith(".star") and n != BUILD_FILE]
        except OSError:
            near = []
        prefix = "@rules//" if label.shipped else f"//{label.package}:"
        hint = suggestion(f"{prefix}{label.name}", [f"{prefix}{n}" for n in near])
        return BuildError("no-such-file", f"there is no file {label}", hint=hint)
