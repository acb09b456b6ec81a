"""The build hook: compiles the clock library into the package (docs/design/clock.md).

An editable install gets it for this machine's architecture, a wheel for every one
that there is a compiler for; a wheel build asks pip for PyPI's `ziglang`, which
compiles for all of them.
"""

import importlib.util
import os
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDER = os.path.join("buildtool", "sandbox", "clock")
_COMPILER = "ziglang>=0.13"


class ClockLibrary(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling finds the one hook class of this file by itself."""

    def dependencies(self) -> list[str]:
        """What an isolated build needs beside hatchling."""
        return [_COMPILER] if self.target_name == "wheel" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile what is missing or old; `version` is `editable` for an editable install."""
        if self.target_name != "wheel":
            return
        build = _load(os.path.join(self.root, _FOLDER, "build.py"))
        native = build.native() or "amd64"
        if version == "editable":
            if not build.is_current(native) and build.build(native) is None:
                self._complain(native, needed=True)
            return
        for architecture in build.ARCHITECTURES:
            path = build.build(architecture, portable=True)
            if path is None:
                self._complain(architecture, needed=architecture == native)
            else:
                build_data["force_include"][path] = os.path.join(_FOLDER, os.path.basename(path))

    def _complain(self, architecture: str, *, needed: bool) -> None:
        missing = f"no compiler for the clock library of {architecture}: install cc, or `pip install ziglang`"
        if needed:
            raise RuntimeError(missing)
        self.app.display_warning(missing)


def _load(path: str) -> ModuleType:
    """The module in a file, which cannot be imported by name before the package is installed."""
    spec = importlib.util.spec_from_file_location("clock_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
