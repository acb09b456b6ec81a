"""Evaluation: a BUILD.star and the files that it loads become a package.  Runs in the child process.

Each file is evaluated in a module of its own that has evaluated the prelude
before, so the primitives are ordinary names that a file may use for something
else.  Loaded files are frozen and kept; a package is evaluated once.
"""

import os
from collections.abc import Callable
from functools import partial
from time import process_time

import starlark as sl

from buildtool.diag import BuildError, Note
from buildtool.digest import sha256
from buildtool.frontends.starlark import bounds, callsite
from buildtool.frontends.starlark.builtins import Builtins, Loading
from buildtool.frontends.starlark.declared import Package
from buildtool.frontends.starlark.labels import BUILD_FILE, ModuleLabel, parse_module
from buildtool.frontends.starlark.marks import MARK, marked

#: Seconds of processor time for one package with all that it loads.
MAX_SECONDS = 2.0
MAX_CALLS = 200
MAX_LOADS = 50

_LIBRARY = ("StructType", "CallStack", "Json", "Partial", "Map", "Filter")


class Evaluator:
    """Loads packages of the workspace at `root`; `rules` is the folder of the shipped files."""

    def __init__(self, root: str, rules: str, mark: Callable[[str, int], None]) -> None:
        self._root = root
        self._rules = rules
        self._mark = mark
        self._sources: dict[str, str] = {}
        self._builtins = Builtins(self._sources.get, mark)
        self._globals = sl.Globals.extended_by([getattr(sl.LibraryExtension, n) for n in _LIBRARY])
        self._dialect = sl.Dialect.standard()
        self._dialect.enable_f_strings = True
        self._dialect.enable_keyword_only_arguments = True
        self._dialect.enable_types = sl.DialectTypes.ENABLE
        prelude = os.path.join(os.path.dirname(__file__), "prelude.star")
        with open(prelude, encoding="utf-8") as file:
            self._prelude = sl.parse(callsite.PRELUDE, file.read(), self._dialect)
        self._frozen: dict[ModuleLabel, tuple[sl.FrozenModule, dict[str, str]]] = {}
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
        try:
            _, reads = self._evaluated(label)
        finally:
            self._builtins.current = None
        return current.package(reads)

    def _evaluated(self, label: ModuleLabel) -> tuple[sl.Module, dict[str, str]]:
        file = str(label)
        data = self._read(label)
        text = self._sources[file] = bounds.decode(data, file)
        self._mark(file, 1)
        bounds.check(text, file)
        reads: dict[str, str] = {file: sha256(data)}
        module = sl.Module()
        for name, function in self._builtins.callables().items():
            module.add_callable(name, partial(self._called, function))
        options = sl.EvalOptions(
            check_cancelled=lambda: process_time() > self._deadline, max_callstack_size=MAX_CALLS
        )
        loader = sl.FileLoader(partial(self._load, label, reads))
        try:
            sl.eval(module, self._prelude, self._globals)
            if self._marks:
                module.add_callable(MARK, partial(self._mark, file))
                text = marked(text)
            ast = sl.parse(file, text, self._dialect)
            sl.eval_with(options, module, ast, self._globals, file_loader=loader)
        except sl.StarlarkError as e:
            raise self._told(str(e)) from None
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
            current, self._builtins.current = self._builtins.current, None
            self._loading.append(label)
            try:
                module, inner = self._evaluated(label)
            finally:
                self._loading.pop()
                self._builtins.current = current
            self._frozen[label] = module.freeze(), inner
        frozen, inner = self._frozen[label]
        reads.update(inner)
        return frozen

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
